"""Weights of the authors' programs become run folders with the authors' images; others are refused in one sentence."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.models.stylegan2 import Config
from jaxgen.nn.biggan_names import BIGGAN
from jaxgen.nn.published_weights import weights_of
from jaxgen.nn.stylegan2_names import STYLEGAN2
from jaxgen.runs import load_run
from jaxgen.runs.import_published import import_published
from jaxgen.runs.published_families import (
    Found,
    find_biggan,
    find_progressive,
    find_stylegan,
    find_stylegan2,
)
from tests.models.random_states import random_state
from tests.references import arrays, channels_last, group

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")

NAME = "stylegan2_ada_pytorch"
REFERENCE = arrays(NAME)
WEIGHTS = {"G_ema": group(NAME, "G/"), "D": group(NAME, "D/")}


def joined(networks, separator="."):
    return {f"{network}{separator}{name}": x for network, weights in networks.items() for name, x in weights.items()}


def imported(folder, weights, **options):
    """The run of weights, and the notices."""
    notices = []
    np.savez(folder / "weights.npz", **weights)
    import_published("stylegan2", folder / "weights.npz", folder / "run", notify=notices.append, **options)
    return load_run(folder / "run"), notices


def random_weights(size=8, classes=0, channels=1, **options):
    """The options of small networks, and their random weights by the authors' names."""
    config = Config(size=size, conditional=classes > 0, **{"base": 16, "largest": 4, "latent_dim": 3, **options})
    images = {"image": np.zeros((1, size, size, channels), np.uint8), "label": np.array([max(classes, 1) - 1])}
    state = random_state(REGISTRY["stylegan2"].build(config, images), images)
    generator = {"params": state.params["generator"], **state.stats["generator"]}
    del generator["path_length"]
    discriminator = {"params": state.params["discriminator"]}
    return config, weights_of(generator, STYLEGAN2), weights_of(discriminator, STYLEGAN2)


def test_images_and_weights_are_those_of_the_authors_program(tmp_path):
    run, notices = imported(tmp_path, joined(WEIGHTS))
    assert notices == []
    z = REFERENCE["z"]
    images = 2 * run.decode(np.concatenate([z, z]), truncation=np.repeat([1.0, 0.5], len(z))) - 1
    for found, name in zip(np.split(np.asarray(images), 2), ("img_const_noise", "img_psi0p5_const"), strict=True):
        expected = channels_last(REFERENCE[name])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.std())
    discriminator = {"params": jax.tree.map(lambda leaf: leaf[0], run.state.params["discriminator"])}
    for name, array in weights_of(discriminator, STYLEGAN2).items():
        np.testing.assert_array_equal(array, WEIGHTS["D"][name])
    options = run.config.model_config
    assert (options.size, options.base, options.largest, options.latent_dim) == (16, 256, 32, 24)
    assert (options.style_dim, options.mapping_layers, options.mapping_width) == (20, 3, 28)
    assert (run.config.data, run.imported, run.step) == ("unknown", "stylegan2", 0)


class TestFormats:
    def expected(self, generator, name="synthesis.b8.conv0.bias"):
        return generator[name]

    def found(self, run, part="params"):
        return np.asarray(run.state.ema["generator"][part]["synthesis"]["b8"]["conv0"]["bias"][0])

    @pytest.mark.parametrize("kind", [".safetensors", ".npz", ".pth", "old .pt"])
    def test_of_files(self, kind, tmp_path):
        _, generator, discriminator = random_weights(classes=3)
        weights, path = joined({"G": generator, "D": discriminator}), tmp_path / f"a{kind.removeprefix('old ')}"
        if kind == ".safetensors":
            save_file({name: np.asarray(array, order="C") for name, array in weights.items()}, path)
        elif kind == ".npz":
            np.savez_compressed(path, **weights)
        else:
            tensors = {name: torch.tensor(array) for name, array in weights.items()}
            torch.save(tensors, path, _use_new_zipfile_serialization=kind == ".pth")
        import_published("stylegan2", path, tmp_path / "run", data="mnist", data_dir="sets")
        run = load_run(tmp_path / "run")
        np.testing.assert_array_equal(self.found(run), self.expected(generator))
        assert (run.config.data, run.config.data_dir) == ("mnist", str(Path("sets").absolute()))
        assert (run.config.image_size, run.classes, run.model.conditions) == (8, 3, ("label", "truncation"))

    def test_with_the_names_of_data_parallel_networks(self, tmp_path):
        _, generator, discriminator = random_weights()
        weights = joined({"G": generator, "D": discriminator})
        run, _ = imported(tmp_path, {name.replace(".", ".module.", 1): x for name, x in weights.items()})
        np.testing.assert_array_equal(self.found(run), self.expected(generator))

    def test_samples_come_from_the_average_and_a_training_starts_from_the_generator(self, tmp_path):
        _, generator, discriminator = random_weights()
        average = {name: 2 * array for name, array in generator.items()}
        networks = {"G": generator, "Gs": average, "D": discriminator}
        run, _ = imported(tmp_path, joined(networks, separator="/"))
        bias = "synthesis.b8.conv0.bias"
        np.testing.assert_array_equal(self.found(run), average[bias])
        assert np.array_equal(run.state.params["generator"]["synthesis"]["b8"]["conv0"]["bias"][0], generator[bias])
        noise = run.state.ema["generator"]["noise"]["synthesis"]["b8"]["conv0"]["image"][0]
        np.testing.assert_array_equal(noise, average["synthesis.b8.conv0.noise_const"])

    def test_a_generator_alone_samples_and_the_discriminator_is_new(self, tmp_path):
        _, generator, _ = random_weights()
        run, notices = imported(tmp_path, generator)
        (notice,) = notices
        assert "weights.npz has no discriminator: the run has a new one with random weights" in notice
        np.testing.assert_array_equal(self.found(run), self.expected(generator))
        kernel = np.asarray(run.state.params["discriminator"]["b8"]["conv0"]["kernel"])
        assert 0.5 < kernel.std() < 1.5
        assert run.state.opt["generator"]


class TestOptions:
    @pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
    @pytest.mark.parametrize(
        "options",
        [
            {"classes": 3, "mapping_layers": 1, "style_dim": 6},
            {"size": 32, "base": 64, "largest": 8, "channels": 3, "mapping_width": 5},
        ],
    )
    def test_are_found_from_shapes(self, architecture, options):
        architectures = {"architecture": architecture, "discriminator_architecture": architecture}
        config, generator, discriminator = random_weights(**options, **architectures)
        found = find_stylegan2(generator, discriminator)
        assert Config(**found.options) == config
        assert (found.channels, found.classes) == (options.get("channels", 1), options.get("classes", 0))

    @pytest.mark.parametrize(("base", "largest"), [(100, 20), (100, 32), (97, 7), (4096, 8)])
    def test_have_the_same_networks_where_several_bases_do(self, base, largest):
        _, generator, discriminator = random_weights(size=16, base=base, largest=largest)
        options = find_stylegan2(generator, discriminator).options
        _, again, _ = random_weights(size=16, base=options["base"], largest=options["largest"])
        assert {name: x.shape for name, x in again.items()} == {name: x.shape for name, x in generator.items()}

    def test_of_a_preset_must_be_those_of_the_weights(self, tmp_path):
        np.savez(tmp_path / "weights.npz", **joined(WEIGHTS))
        with pytest.raises(
            InputError, match=r"the average of .*weights.npz: .* must have synthesis.b32.conv0.affine.bias"
        ):
            import_published("stylegan2-32", tmp_path / "weights.npz", tmp_path / "run")
        preset = dataclasses.replace(REGISTRY["stylegan2"].config(), size=32)
        _, generator, discriminator = random_weights(
            size=32, base=preset.base, largest=preset.largest, latent_dim=64, style_dim=64
        )
        np.savez(tmp_path / "weights.npz", **joined({"G": generator, "D": discriminator}))
        import_published("stylegan2-32", tmp_path / "weights.npz", tmp_path / "run")
        assert load_run(tmp_path / "run").preset == "stylegan2-32"


SIZE_9 = {"conv1.bias": 1, "conv1.noise_const": (9, 9), "torgb.bias": 1}

WRONG = {
    "no bias": (lambda w: w["G"].pop("synthesis.b8.conv0.bias"), "must have synthesis.b8.conv0.bias, which is missing"),
    "no noise": (
        lambda w: w["G"].pop("synthesis.b8.conv1.noise_const"),
        r"weights.npz: the weights must have synthesis.b8.conv1.noise_const of 2 axes, which is missing: are they",
    ),
    "no mapping": (
        lambda w: [w["G"].pop(name) for name in list(w["G"]) if name.startswith("mapping")],
        "must have mapping.fc0.weight of 2 axes, which is missing",
    ),
    "a scalar": (lambda w: w["G"].update({"mapping.fc0.weight": np.zeros(())}), "mapping.fc0.weight of 2 axes, got 0"),
    "a huge size": (
        lambda w: w["G"].update({"synthesis.b65536.conv1.bias": np.zeros(4)}),
        "must have synthesis.b65536.conv1.noise_const of 2 axes, which is missing",
    ),
    "a size that is none": (
        lambda w: w["G"].update({f"synthesis.b9.{name}": np.ones(shape) for name, shape in SIZE_9.items()}),
        "must be those of a stylegan2: size must be a power of 2 from 8 on, got 9",
    ),
    "no latent": (
        lambda w: w["G"].update({"mapping.fc0.weight": np.zeros((64, 0))}),
        "the shapes of the arrays of .*weights.npz must be those of a stylegan2: latent_dim must be positive .*, got 0",
    ),
    "too large for float32": (
        lambda w: w["G"].update({"mapping.w_avg": np.full(64, 1e300)}),
        r"the generator of .*weights.npz: mapping.w_avg must be finite in float32, got the largest magnitude 1e\+300",
    ),
    "two averages": (
        lambda w: w.update({"G_ema": w["G"], "Gs": w["G"]}),
        "must have each network once, got 'Gs.* and another of the same network",
    ),
    "another discriminator": (
        lambda w: w["D"].update({"b8.conv0.weight": np.zeros((2, 3, 3, 3))}),
        r"the discriminator of .*weights.npz: b8.conv0.weight must have the shape \(2, 2, 3, 3\)",
    ),
    "more": (lambda w: w["D"].update(more=np.zeros(2)), "the discriminator of .* which has no 'more'"),
    "NaN": (lambda w: w["G"]["synthesis.b4.const"].fill(np.nan), "b4.const must be finite in float32, got .* nan"),
    "no generator": (lambda w: w.pop("G"), "must have the weights of a generator, got none"),
    "no network": (lambda w: w.clear(), "must have the weights of a generator, got none"),
}  # fmt: skip


class TestWrongFiles:
    @pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
    def test_weights_of_other_networks_are_refused_by_the_first_array_that_differs(self, change, sentence, tmp_path):
        _, generator, discriminator = random_weights()
        networks = {"G": {n: np.array(x) for n, x in generator.items()}, "D": dict(discriminator)}
        change(networks)
        path = tmp_path / "weights.npz"
        np.savez(path, **joined(networks))
        with pytest.raises(InputError, match=sentence) as error:
            import_published("stylegan2", path, tmp_path / "run")
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        ("family", "name", "sentence"),
        [
            ("stylegan2", "D.more", "the discriminator of .* must be those of this network, which has no 'more'"),
            ("style_transfer", "more", "the decoder of .* must have 28.bias, which is missing"),
        ],
    )
    def test_names_and_shapes_are_compared_before_an_array_is_read(self, family, name, sentence, tmp_path, monkeypatch):
        weights = joined(WEIGHTS) if family == "stylegan2" else {}
        np.savez(tmp_path / "weights.npz", **weights, **{name: np.zeros(1)})
        monkeypatch.setattr(np.lib.format, "read_array", None)
        with pytest.raises(InputError, match=sentence):
            import_published(family, tmp_path / "weights.npz", tmp_path / "run")

    def test_names_with_and_without_a_network_are_not_mixed(self, tmp_path):
        path = tmp_path / "weights.npz"
        np.savez(path, **{"G.a": np.zeros(1), "b": np.zeros(1)})
        with pytest.raises(InputError, match=r"must all begin with one of G, G_ema, Gs, D, or none of them, got 'b'"):
            import_published("stylegan2", path, tmp_path / "run")
        assert list(tmp_path.iterdir()) == [path]

    def test_models_without_published_weights_are_refused(self, tmp_path):
        with pytest.raises(InputError, match="no model with published weights 'stylegan2-257': did you mean"):
            import_published("stylegan2-257", tmp_path / "a.npz", tmp_path / "run")


class TestNetworksThatGrow:
    def test_options_are_found_from_the_authors_weights_of_pggan(self):
        weights = [group("pggan_official_tf", f"w/{network}/") for network in "GD"]
        expected = {"size": 16, "base": 128, "largest": 32, "latent_dim": 32, "conditional": False, "fused": False}
        assert find_progressive(*weights) == Found(expected, 16, 3, 0)
        assert find_progressive(weights[0], None).options == expected

    def test_options_are_found_from_the_authors_weights_of_stylegan(self):
        generator = {name: x for name, x in group("stylegan1_official_tf", "w/").items() if name.startswith("G_")}
        expected = {"size": 16, "base": 128, "largest": 32, "latent_dim": 32, "style_dim": 32, "mapping_layers": 4}
        found = find_stylegan(generator, group("stylegan1_official_tf", "w/D/"))
        assert found == Found({**expected, "mapping_width": 24, "conditional": False}, 16, 3, 0)
        labelled = {**generator, "G_mapping/LabelConcat/weight": np.zeros((5, 32))}
        assert find_stylegan(labelled, None).classes == 5

    @pytest.mark.parametrize(
        ("family", "name"), [("progressive", "pggan_official_tf"), ("stylegan", "stylegan1_official_tf")]
    )
    def test_images_are_those_of_the_authors_programs(self, tmp_path, family, name):
        """The second file has its generator under two names, and the average of its styles among the results."""
        weights, reference = group(name, "w/"), arrays(name)
        if family == "stylegan":
            weights = {k if k.startswith("D/") else f"G_ema/{k}": x for k, x in weights.items()}
            weights["G_ema/G_mapping/dlatent_avg"] = reference["w_avg"]
        np.savez(tmp_path / "weights.npz", **weights)
        import_published(family, tmp_path / "weights.npz", tmp_path / "run")
        run = load_run(tmp_path / "run")
        images = 2 * run.decode(reference["z"]) - 1
        expected = channels_last(reference["lod0.0/out"])
        np.testing.assert_allclose(images, expected, rtol=1e-4, atol=3e-5 * expected.std())

    def test_classes_of_pggan_are_those_of_the_discriminator(self):
        generator, discriminator = (dict(group("pggan_official_tf", f"w/{network}/")) for network in "GD")
        discriminator["4x4/Dense1/weight"] = np.zeros((32, 4))
        found = find_progressive(generator, discriminator)
        assert (found.classes, found.options["latent_dim"], found.options["conditional"]) == (3, 29, True)


def biggan(**options):
    """A small BigGAN: its options, the model, a random state, and its weights by the authors' names."""
    config = REGISTRY["biggan"].config(**{"width": 8, "shared_dim": 3, "latent_dim": 12, **options})
    images = {"image": np.zeros((2, config.size, config.size, 1), np.uint8), "label": np.array([0, 4])}
    model = REGISTRY["biggan"].build(config, images)
    state = random_state(model, images)
    weights = [
        weights_of({"params": state.params[name], **state.stats[name]}, BIGGAN)
        for name in ("generator", "discriminator")
    ]
    return config, model, state, weights


class TestBigGAN:
    @pytest.mark.parametrize(
        "options",
        [
            {"size": 8, "attention": ()},
            {"size": 28, "attention": (14,)},
            {"size": 32, "attention": (16,), "hierarchical": False, "shared_dim": 0},
            {"size": 32, "attention": (), "conditional": False, "hierarchical": False, "shared_dim": 0},
            {"size": 64, "attention": (32,), "deep": True, "latent_dim": 5},
        ],
    )
    def test_options_are_found_from_shapes(self, options):
        config, _, _, weights = biggan(**options)
        found = find_biggan(*weights)
        stated = {name: getattr(config, name) for name in found.options}
        assert found.options == stated
        assert (found.size, found.channels, found.classes) == (config.size, 1, 5 if config.conditional else 0)

    def test_images_are_those_of_the_weights(self, tmp_path):
        _, model, state, (generator, discriminator) = biggan(size=8, width=1)
        np.savez(tmp_path / "weights.npz", **joined({"G_ema": generator, "D": discriminator}))
        import_published("biggan", tmp_path / "weights.npz", tmp_path / "run")
        run = load_run(tmp_path / "run")
        latent, label = np.random.default_rng(0).normal(size=(3, 12)).astype(np.float32), np.array([0, 4, 2])
        expected = model.decode(jax.tree.map(jax.numpy.asarray, state), latent, label=label)
        assert np.asarray(expected).std() > 5e-3
        np.testing.assert_allclose(run.decode(latent, label=label), expected, atol=1e-6)
