"""Train models whose quality jaxgen guarantees, and print every measured number with its target.

    python benchmarks/quality.py --data-dir FOLDER [--only NAME] [--out FOLDER] [--short]

FOLDER contains MNIST, as prepared by tensorflow-datasets or as the original files. Every experiment is one function.
The exit status is 0 if all targets are met and 1 otherwise.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from jaxgen.data import Stream, load
from jaxgen.data.synthetic import ring
from jaxgen.game import Model, State
from jaxgen.metrics import CONFIDENT, mixture_metrics
from jaxgen.metrics.extractors import load_extractor
from jaxgen.models import PRESETS, REGISTRY, autoencoder, cvae, gan, vae, vaegan
from jaxgen.plot import image_grid, save
from jaxgen.training.loop import fit
from jaxgen.training.mean_metrics import evaluate
from jaxgen.training.seeds import over_seeds, seed_keys
from jaxgen.typing import Array, Batch, Key

SAMPLES = 2000
"""Number of samples of every model that are classified."""

POINTS = 2500
"""Number of samples of every seed from which the covered modes are counted."""


class Number(NamedTuple):
    """One measured number of an experiment.

    Attributes:
        text: description of the number, with its unit.
        value: measured value.
        target: "at most" or "at least"; None for a number without a target.
        limit: limit of the target.
    """

    text: str
    value: float
    target: Literal["at most", "at least"] | None = None
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the number meets its target; False for NaN."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.target == "at most" else self.value >= self.limit

    def __str__(self) -> str:
        """Return the number and its target in one line."""
        line = f"  {self.text:62}{self.value:10.4g}"
        if self.limit is None:
            return line
        return f"{line}   {self.target} {self.limit:g}: {'met' if self.met else 'NOT MET'}"


@dataclass(frozen=True)
class Context:
    """Data and options that the experiments share.

    Attributes:
        data_dir: folder with MNIST.
        out: folder for grids of samples.
        short: whether to make a fiftieth of the steps, to test that everything runs.
    """

    data_dir: Path | None
    out: Path
    short: bool

    @cached_property
    def train(self) -> Batch:
        """Training split of MNIST."""
        return load_all("mnist", split="train", data_dir=self.data_dir)

    @cached_property
    def test(self) -> Batch:
        """Test split of MNIST."""
        return load_all("mnist", split="test", data_dir=self.data_dir)

    def fit(
        self, family: str, config: Any, data: Batch, *, steps: int, batch_size: int, key: Key[Array, "..."]
    ) -> tuple[Model, State]:
        """Train a model of a family and return it with its last state."""
        model = REGISTRY[family].build(config, data)
        steps = max(1, steps // 50) if self.short else steps
        return model, fit(model, data, key=key, steps=steps, batch_size=batch_size).state


def vae_elbo(context: Context) -> Iterator[Number]:
    """MLP VAE on MNIST, gray values, Bernoulli likelihood: test ELBO after 10 epochs."""
    # One hidden layer of 400 reaches 105.6 nats, one of 1000 reaches 104.4.
    config, batch_size = vae.Config(hidden=(512, 256), latent_dim=20), 64
    steps = 10 * (len(context.train["image"]) // batch_size)
    model, state = context.fit("vae", config, context.train, steps=steps, batch_size=batch_size, key=jax.random.key(0))
    metrics = {
        name: float(value) for name, value in evaluate(model, state, context.test, key=jax.random.key(1)).items()
    }
    yield Number("test reconstruction, nats", metrics["reconstruction"])
    yield Number("test KL, nats", metrics["kl"])
    yield Number("test negative ELBO, nats", -metrics["elbo"], "at most", 105)


def linear_autoencoder(context: Context) -> Iterator[Number]:
    """Linear autoencoder on digits: distance from the subspace of the principal components."""
    latent = 10
    train, test = load_all("digits", split="train"), load_all("digits", split="test")
    # All examples in every batch: with smaller batches, the noise of Adam rotates the subspace by a degree.
    config = autoencoder.Config(architecture="linear", latent_dim=latent)
    model, state = context.fit(
        "autoencoder", config, train, steps=10_000, batch_size=len(train["image"]), key=jax.random.key(0)
    )
    pca = PCA(latent).fit(rows(train["image"]))
    x = rows(test["image"])
    best = np.mean((pca.inverse_transform(pca.transform(x)) - x) ** 2)
    mse = float(evaluate(model, state, test, key=jax.random.key(1))["mse"])
    assert model.decode is not None
    # Columns that span the range of the decoder: its values at the unit vectors, minus its value at zero.
    at_unit_vectors = rows(model.decode(state, np.eye(latent, dtype=np.float32)))
    columns = (at_unit_vectors - rows(model.decode(state, np.zeros((1, latent), np.float32)))).T
    yield Number("test MSE of PCA", best)
    yield Number("test MSE of the autoencoder", mse)
    yield Number("difference, % of PCA's", 100 * abs(mse - best) / best, "at most", 0.5)
    angle = np.degrees(subspace_angles(columns, pca.components_.T).max())
    yield Number("largest principal angle, degrees", angle, "at most", 2)


def conditional_vae(context: Context) -> Iterator[Number]:
    """CVAE on MNIST: accuracy of the classifier mnist_v1 on samples with given labels."""
    epoch = len(context.train["image"]) // 128
    # With latent_dim=20 and one hidden layer of 400, draws from the prior are too far from encoded examples: 84 %.
    config = cvae.Config(hidden=(512, 256), latent_dim=8)
    model, state = context.fit("cvae", config, context.train, steps=20 * epoch, batch_size=128, key=jax.random.key(0))
    label = np.arange(SAMPLES) % 10
    images = np.asarray(model.sample(jax.random.key(1), state, SAMPLES, label=label))
    save(image_grid(images[:100], columns=10), context.out / "cvae.png")
    predicted = probabilities(images).argmax(axis=1)
    yield Number("classified as the given label, % of samples", 100 * np.mean(predicted == label), "at least", 90)
    yield Number("the same, worst digit, %", 100 * min(np.mean(predicted[label == d] == d) for d in range(10)))


def ring_modes(context: Context) -> Iterator[Number]:
    """WGAN-GP on the ring of eight Gaussians, ten seeds in one program: modes covered."""
    seeds = 10
    # Small networks allow ten times the published learning rate.
    config = dataclasses.replace(PRESETS["wgan-gp"].config, learning_rate=1e-3, b1=0.5)
    model, states = context.fit("gan", config, load_all("ring"), steps=10_000, batch_size=256, key=seed_keys(0, seeds))
    points = over_seeds(lambda state: model.sample(jax.random.key(1), state, POINTS))(states)
    mixture = ring()
    centers, scales, weights = mixture.centers, mixture.scales, mixture.weights
    metrics = jax.vmap(lambda samples: mixture_metrics(samples, centers, scales, weights))(points)
    covered, near = np.asarray(metrics["modes"]), 100 * np.asarray(metrics["high_quality"])
    yield Number("modes covered, mean of seeds", covered.mean())
    yield Number("samples within 3 sigma of a mode, mean of seeds, %", near.mean())
    yield Number("the same, worst seed, %", near.min())
    yield Number(f"seeds of {seeds} that cover 8 of 8 modes", (covered == 8).sum(), "at least", 9)


def dcgan(context: Context) -> Iterator[Number]:
    """DCGAN on MNIST: share of the rarest digit among samples."""
    model, state = context.fit(
        "gan", gan.Config(width=32), context.train, steps=3000, batch_size=64, key=jax.random.key(0)
    )
    yield from digit_shares("dcgan", model, state, context)


def vae_gan(context: Context) -> Iterator[Number]:
    """VAE/GAN on MNIST: share of the rarest digit among samples."""
    model, state = context.fit(
        "vaegan", vaegan.Config(), context.train, steps=3000, batch_size=64, key=jax.random.key(0)
    )
    yield from digit_shares("vaegan", model, state, context)


def digit_shares(name: str, model: Model, state: State, context: Context) -> Iterator[Number]:
    """Draw samples, save a grid of them, and count each digit among those that mnist_v1 classifies with confidence."""
    images = np.asarray(model.sample(jax.random.key(1), state, SAMPLES))
    save(image_grid(images[:100], columns=10), context.out / f"{name}.png")
    of_samples = probabilities(images)
    of_real = probabilities(context.test["image"])
    confident = of_samples.max(axis=1) >= CONFIDENT
    shares = 100 * np.bincount(of_samples.argmax(axis=1)[confident], minlength=10) / SAMPLES
    for digit, share in enumerate(shares):
        yield Number(f"classified as {digit} with confidence >= {CONFIDENT}, % of samples", share)
    yield Number("mean confidence of the classifier, samples", of_samples.max(axis=1).mean())
    yield Number("mean confidence of the classifier, real test digits", of_real.max(axis=1).mean())
    yield Number("the rarest digit, % of samples", shares.min(), "at least", 1)


def probabilities(images: Any) -> np.ndarray:
    """Return the probabilities of the ten digits by the classifier mnist_v1 in the package."""
    return np.asarray(jax.nn.softmax(load_extractor("mnist_v1")(images).logits))


def load_all(name: str, **arguments: Any) -> Batch:
    """Load data that fit in memory."""
    data = load(name, **arguments)
    assert not isinstance(data, Stream)
    return data


def rows(images: Any) -> np.ndarray:
    """Return images, uint8 or values in [0, 1], as rows of values in [0, 1]."""
    images = np.asarray(images)
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat / 255 if images.dtype == np.uint8 else flat


EXPERIMENTS: dict[str, Callable[[Context], Iterator[Number]]] = {
    "vae": vae_elbo,
    "autoencoder": linear_autoencoder,
    "cvae": conditional_vae,
    "ring": ring_modes,
    "dcgan": dcgan,
    "vaegan": vae_gan,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="folder with MNIST")
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS), help="experiments to run")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="folder for grids of samples")
    parser.add_argument(
        "--short", action="store_true", help="make a fiftieth of the steps, to test that everything runs"
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    context = Context(arguments.data_dir, arguments.out, arguments.short)
    missed = []
    for name in arguments.only:
        experiment = EXPERIMENTS[name]
        print(f"{name}: {experiment.__doc__}", flush=True)
        started = time.perf_counter()
        for number in experiment(context):
            print(number, flush=True)
            if not number.met:
                missed.append(f"{name}: {number.text}")
        print(f"  wall time {time.perf_counter() - started:.0f} s\n", flush=True)
    if missed:
        raise SystemExit("targets not met: " + "; ".join(missed))
    print(f"all targets met; grids of samples are in {arguments.out}")


if __name__ == "__main__":
    main()
