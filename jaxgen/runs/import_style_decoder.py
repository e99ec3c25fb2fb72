"""The published decoder of style transfer as a run folder, with the published weights of the encoder beside it."""

from pathlib import Path

import jax

from jaxgen.array_files.weights_file import read_weights
from jaxgen.data import example_from
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, build_model
from jaxgen.nn.published_weights import check_weights, variables_from
from jaxgen.nn.vgg19_names import DECODER
from jaxgen.runs.config import RunConfig, with_absolute_paths
from jaxgen.runs.config_json import RunDescription
from jaxgen.runs.imported_run import check_run_folder, write_imported, zeros_of
from jaxgen.training.seeds import add_seed_axis

FAMILY = "style_transfer"
"""Name of the family."""

SIZE = 256
"""Height and width of the images of the training; the run stylizes images of any size."""


def import_style_decoder(path: Path, folder: Path, *, data: str, data_dir: str | None = None) -> None:
    """Make a run folder of the weights of a decoder as pytorch-AdaIN has them (`decoder.pth`).

    It is the decoder of the normalised VGG-19, whose weights must be installed.

    Args:
        path: `.safetensors`, `.npz`, `.pt` or `.pth` file.
        folder: run folder, which must not exist or be empty.
        data: name or path of the data that the weights were trained on.
        data_dir: folder of the data sets.

    Raises:
        InputError: if the weights are those of another network, those of the encoder are not installed, or the folder
            has files or cannot be written.
        OSError: if the file cannot be opened.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868; naoto0804/pytorch-AdaIN, to which the authors' weights were converted.
    """
    check_run_folder(folder)
    options, example = REGISTRY[FAMILY].config(), example_from({"image": {"shape": [SIZE, SIZE, 3], "dtype": "uint8"}})
    model = build_model(REGISTRY[FAMILY], options, example)
    assert model.pretrained is not None
    like = jax.eval_shape(model.init, jax.random.key(0), example)
    of_decoder = {"params": like.params["decoder"]}
    try:
        weights = read_weights(path, lambda headers: check_weights(headers, of_decoder, DECODER))
        decoder = variables_from(weights, of_decoder, DECODER)["params"]
    except InputError as error:
        raise InputError(f"the decoder of {path}: {error}") from None
    state = add_seed_axis(zeros_of(like).replace(params={**model.pretrained(), "decoder": decoder}))
    config = with_absolute_paths(RunConfig(options, data=data, data_dir=data_dir, image_size=SIZE))
    write_imported(folder, RunDescription(FAMILY, config, example, imported=FAMILY), state, {})
