"""Memory is estimated before it is allocated: what does not fit is refused with the bytes that it needs."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen import analysis, memory
from jaxgen.data import Stream, example, first_examples, load, random_examples
from jaxgen.data.streaming import ArraySource
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, game
from jaxgen.memory import available_bytes, memory_errors
from jaxgen.models import REGISTRY, gan
from jaxgen.runs import Run, RunConfig
from jaxgen.training import fit
from jaxgen.training.seeds import seed_keys
from jaxgen.training.states import initial_state
from tests.small_runs import untrained

IMAGES = {"image": np.zeros((20, 16, 16, 1), np.uint8), "label": np.arange(20, dtype=np.int32) % 2}
X = np.ones((12, 3), np.float32)
POINTS = {"point": np.zeros((20, 2), np.float32)}
HUGE = r"^the memory of the device must be at least [\d.]+ [TPE]iB for the state of the training, got [\d.]+ .iB: give"


def test_memory_of_the_cpu_is_at_most_that_of_the_machine() -> None:
    [total] = re.findall(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())
    available = available_bytes(jax.local_devices(backend="cpu")[0])
    assert available is not None
    assert 2**20 < available <= 1024 * int(total)


def test_limit_of_a_control_group_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_limits", lambda: iter([12345]))
    assert available_bytes(jax.local_devices(backend="cpu")[0]) == 12345


@pytest.mark.parametrize(
    ("own", "files", "limits"),
    [
        ("0::/a/b", {"a/b/memory.max": "500", "a/memory.max": "300", "memory.max": "max"}, [500, 300]),
        ("0::/", {"memory.max": "700"}, [700]),
        ("0::/a", {"a/memory.max": "max"}, []),
        ("0::/a", {}, []),
        (
            "5:cpu,cpuacct:/x\n9:memory:/a/b",
            {"memory/a/b/memory.limit_in_bytes": "400", "memory/memory.limit_in_bytes": "900"},
            [400, 900],
        ),
        ("3:memory,hugetlb:/a", {"memory/a/memory.limit_in_bytes": "250", "a/memory.max": "1"}, [250]),
        ("9:memory:/a\n0::/a", {"memory/a/memory.limit_in_bytes": "400", "a/memory.max": "350"}, [400, 350]),
        ("9:memory:/docker/x", {"memory/memory.limit_in_bytes": "600"}, [600]),  # Of another name space.
        ("5:cpu:/a", {"cpu/a/memory.limit_in_bytes": "1", "a/memory.max": "1"}, []),
        ("no line of this kind", {"memory.max": "1"}, []),
        ("0::/a", {"a/memory.max": "many"}, []),
    ],
)
def test_limits_are_those_of_the_control_groups_of_the_process_and_of_those_above(
    tmp_path: Path, own: str, files: dict[str, str], limits: list[int]
) -> None:
    (tmp_path / "own").write_text(own + "\n")
    for name, content in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(content + "\n")
    assert list(memory._limits(tmp_path / "root", tmp_path / "own")) == limits


@pytest.mark.parametrize(
    ("family", "data", "options"),
    [
        ("autoencoder", IMAGES, {"latent_dim": 10**9}),
        ("vae", POINTS, {"hidden": (10**8, 10**8), "likelihood": "gaussian"}),
        ("cvae", IMAGES, {"latent_dim": 10**9}),
        ("vaegan", IMAGES, {"latent_dim": 10**9}),
        ("gan", POINTS, {"latent_dim": 2 * 10**9, "hidden": (4096,)}),
        ("gan", IMAGES, {"latent_dim": 10**9}),
        ("classifier", IMAGES, {"width": 10**6}),
    ],
)
def test_networks_that_do_not_fit_are_refused_by_every_family(family: str, data: Any, options: dict[str, Any]) -> None:
    model = REGISTRY[family].build(REGISTRY[family].config(**options), data)
    with pytest.raises(InputError, match=HUGE):
        fit(model, data, key=jax.random.key(0), steps=1, batch_size=2)


def with_activations(size: int) -> Model:
    """A game whose one parameter has a gradient through an array of `size` numbers per example."""

    def loss(key: Any, params: Any, state: Any, batch: Any) -> Any:
        noise = jax.random.normal(key, (len(batch["point"]), size)) * params["x"]
        return jnp.sum(jnp.sort(noise, axis=1) * jnp.arange(size)), ({}, {})

    init, step = game(lambda key, batch: {"x": {"params": jnp.float32(1.0)}}, [Player("x", ("x",), loss, optax.sgd(1))])
    return Model(init, step, (Player("x", ("x",), loss, optax.sgd(1)),))


def test_seeds_data_and_activations_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device=None: 10**6)
    small = gan.build(gan.Config(hidden=(4,)), POINTS)
    run = partial(fit, steps=1, batch_size=2)
    with pytest.raises(InputError, match=r"for the state of the training, got 976.6 KiB: give .* fewer seeds"):
        run(small, POINTS, key=seed_keys(0, 20_000))
    with pytest.raises(InputError, match=r"at least \S+ GiB for the keys of the seeds, got 976.6 KiB: give"):
        seed_keys(0, 2_000_000_000)
    with pytest.raises(InputError, match=r"at least 1.526 MiB for a copy of the data .* stream them from disk"):
        run(small, {"point": np.zeros((200_000, 2), np.float32)}, key=jax.random.key(0))
    with pytest.raises(InputError, match=r"at least \S+ MiB for a training step, got 976.6 KiB: give a smaller batch"):
        run(with_activations(10**6), POINTS, key=jax.random.key(0))
    assert run(with_activations(10), POINTS, key=jax.random.key(0)).state.step == 1


@pytest.fixture(scope="module")
def points_run() -> Run:
    config = RunConfig(gan.Config(hidden=(4,)), seeds=2)
    model, shown = gan.build(config.model_config, POINTS), example(POINTS)
    return Run(Path("absent"), "gan", config, shown, model, initial_state(model, config.keys, shown), 0, {}, ())


def test_samples_that_do_not_fit_are_refused(points_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds of two float32 are 16 bytes a sample; beside all of them there is a part of 1000."""
    monkeypatch.setattr(memory, "available_bytes", lambda device=None: 2**20)
    with pytest.raises(InputError, match=r"must be at least 29.8 GiB for 2000000000 samples, got 1 MiB: give a "):
        points_run.sample(jax.random.key(0), 2_000_000_000)
    monkeypatch.setattr(memory, "available_bytes", lambda device=None: 16 * (2500 + 1000))
    assert points_run.sample(jax.random.key(0), 2500).shape == (2, 2500, 2)
    with pytest.raises(InputError, match=r"for 2501 samples, got 54.69 KiB: give a "):
        points_run.sample(jax.random.key(0), 2501)


def test_latents_and_reconstructions_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latents have two float32, reconstructions 64; a class has a copy of each image of 64 bytes and its label."""
    run, data = untrained("cvae"), {name: array[:1500] for name, array in load("digits").items()}
    digits = {name: np.concatenate([array, array])[:1500] for name, array in data.items()}
    for available, call, what in (
        (8 * 2500 - 1, run.encode, "the results for 1500 examples"),
        (256 * 2500 - 1, run.reconstruct, "the results for 1500 examples"),
        (68 * 1500 * 10 - 1, run.restyle, "1500 examples for each of 10 classes"),
    ):
        monkeypatch.setattr(memory, "available_bytes", lambda device=None, size=available: size)
        with pytest.raises(
            InputError, match=rf"^the memory of the device must be at least .* for {what}, got .*: give f"
        ):
            call(digits)
    monkeypatch.setattr(memory, "available_bytes", lambda device=None: 8 * 2500)
    assert run.encode(digits).shape == (1500, 2)


STREAM = Stream(ArraySource({"image": np.zeros((20_000, 8, 8, 1), np.uint8)}))


@pytest.mark.parametrize(
    ("call", "needed"),
    [
        (lambda: load("ring", examples=10**12), r"10\.91 TiB for 1000000000000 points, got 1 MiB: give fewer examples"),
        (lambda: load("curve", examples=10**6), r"7\.629 MiB for 1000000 points"),
        (lambda: load("stacked_digits", examples=10**9), r"22\.35 GiB for 1000000000 triples of digits"),
        (lambda: load("stacked_digits", examples=20_000, stream=False), r"3\.662 MiB for 20000 images, .* stream them"),
        (lambda: first_examples(STREAM, 10**9), r"1\.221 MiB for 20000 examples of a stream"),
        (lambda: random_examples(jax.random.key(0), STREAM, 19_000), r"1\.16 MiB for 19000 examples of a stream"),
        (lambda: analysis.manifold_grid(10**6), r"14\.55 TiB for a grid of 1000000 x 1000000 latents"),
        (lambda: analysis.interpolate(X, X, 10**9), r"134\.1 GiB for paths of 1000000000 latents"),
        (lambda: analysis.traversals(X[0], [0, 1], np.zeros(10**6)), r"22\.89 MiB for 2 x 1000000 latents"),
    ],
)
def test_data_and_latents_that_do_not_fit_are_refused(
    call: Callable[[], Any], needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "host_bytes", lambda: 2**20)
    with pytest.raises(InputError, match=rf"^the memory of the (device|machine) must be at least {needed}"):
        call()


def test_the_temporary_memory_of_points_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The labels of a mixture are drawn by random numbers for each mode, of which the ring has eight."""
    monkeypatch.setattr(memory, "host_bytes", lambda: 2**20)
    assert 12 * 80_000 < 2**20 < 8 * 4 * 80_000
    with pytest.raises(InputError, match="for 80000 points"):
        load("ring", examples=80_000)


def test_labels_beyond_the_number_of_examples_are_refused_before_they_are_counted() -> None:
    with pytest.raises(InputError, match="labels must include every class from 0 to the largest label"):
        analysis.class_means(X, np.array([0] * 11 + [2**40]))


@pytest.mark.parametrize(
    "error",
    [MemoryError("no room"), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")],
)
def test_failed_allocations_are_sentences_and_other_errors_are_kept(
    points_run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    with pytest.raises(InputError, match=r"^the device has too little memory: give a smaller number of samples"):
        points_run._replace(model=points_run.model._replace(sample=fail)).sample(jax.random.key(0), 3)
    monkeypatch.setattr("jaxgen.training.loop.initial_state", fail)
    with pytest.raises(InputError, match=r"^the device has too little memory: give a smaller batch size"):
        fit(points_run.model, POINTS, key=jax.random.key(0), steps=1, batch_size=2)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"^INTERNAL"), memory_errors("unused"):
        raise jax.errors.JaxRuntimeError("INTERNAL: no memory error")
