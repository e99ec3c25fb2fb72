"""The published files of style transfer become a run that stylizes as PyTorch does with the same weights."""

import dataclasses
import hashlib

import numpy as np
import pytest
import torch

from jaxgen.errors import InputError
from jaxgen.installed_weights import install_weights
from jaxgen.models import style_transfer
from jaxgen.runs import load_run
from jaxgen.runs.import_published import import_published
from jaxgen.runs.stylization import stylize
from tests.metrics.extractors.weights_by_rule import weights_by_rule
from tests.nn import style_transfer_in_pytorch as reference

RANDOM = np.random.default_rng(0)


def written(module, path):
    """The module with weights by the rule, which are in a file."""
    arrays = weights_by_rule({name: tuple(array.shape) for name, array in module.state_dict().items()})
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    torch.save(module.state_dict(), path)
    return module.eval()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Both networks in PyTorch, and the file of the decoder; the weights of the encoder are installed."""
    folder = tmp_path_factory.mktemp("published")
    encoder = written(reference.normalised_encoder(64), folder / "vgg_normalised.pth")
    decoder = written(reference.decoder(64), folder / "decoder.pth")
    digest = hashlib.sha256((folder / "vgg_normalised.pth").read_bytes()).hexdigest()
    weights = dataclasses.replace(style_transfer.ENCODER_WEIGHTS["vgg_normalised"], sha256=digest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXGEN_WEIGHTS", str(folder / "weights"))
        patch.setitem(style_transfer.ENCODER_WEIGHTS, "vgg_normalised", weights)
        install_weights(weights, folder / "vgg_normalised.pth")
        yield encoder, decoder, folder / "decoder.pth"


def test_imported_run_stylizes_as_pytorch(published, tmp_path, monkeypatch):
    encoder, decoder, path = published
    import_published("style_transfer", path, tmp_path / "run")
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "absent"))  # The run has the weights of the encoder.
    run = load_run(tmp_path / "run")
    content, style = RANDOM.uniform(size=(16, 24, 3)), RANDOM.uniform(size=(11, 9, 3))
    with torch.no_grad():
        features, of_style = (
            reference.first_features(encoder, reference.to_torch(image[None], torch.float32))[-1]
            for image in (content, style)
        )
        mean, deviation = (x[..., None, None] for x in reference.statistics(features))
        its_mean, its_deviation = (x[..., None, None] for x in reference.statistics(of_style))
        target = (features - mean) / deviation * its_deviation + its_mean
        expected = reference.to_numpy(decoder(0.4 * features + 0.6 * target))[0]
    found = stylize(run, content, [style], alpha=0.6)
    assert np.mean((expected > 0) & (expected < 1)) > 0.1  # Images are clipped, but not all pixels.
    np.testing.assert_allclose(found, np.clip(expected, 0, 1), atol=1e-3)


def test_weights_of_another_network_and_missing_ones_of_the_encoder_are_refused(published, tmp_path, monkeypatch):
    arrays = dict(torch.load(published[2]))
    torch.save({**arrays, "32.weight": torch.ones(1)}, tmp_path / "more.pth")
    with pytest.raises(InputError, match=r"the decoder of .*more.pth: the weights must be .* has no '32.weight'"):
        import_published("style_transfer", tmp_path / "more.pth", tmp_path / "run")
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match="the weights of vgg_normalised must be installed in "):
        import_published("style_transfer", published[2], tmp_path / "run")
    assert not (tmp_path / "run").exists()
