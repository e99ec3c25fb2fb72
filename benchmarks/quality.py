"""Train what jaxgen promises to train well, and print each number beside its bar.

    python benchmarks/quality.py --data-dir FOLDER [--only NAME] [--out FOLDER] [--short]

FOLDER holds MNIST, as tensorflow-datasets has prepared it or as the original files. Every experiment below is one
function that reads from top to bottom. The exit status says whether all bars were met.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

from jaxgen.analysis.digit_classifier import DigitClassifier, train_digit_classifier
from jaxgen.data import Stream, load
from jaxgen.data.synthetic import ring
from jaxgen.game import Model, State
from jaxgen.models import PRESETS, REGISTRY, autoencoder, cvae, gan, vae, vaegan
from jaxgen.plot import image_grid, save
from jaxgen.runs.sample_metrics import POINTS, SURE, mode_metrics
from jaxgen.training.evaluation import evaluate
from jaxgen.training.loop import fit
from jaxgen.training.seeds import seed_keys
from jaxgen.typing import Array, Batch, Key

SAMPLES = 2000
"""Pictures that the reader is shown, of every model."""


class Number(NamedTuple):
    """One number that an experiment gives.

    Attributes:
        what: it is, with its unit.
        value: measured.
        bar: what it is held against, e.g. "at most"; None where it is only told.
        limit: how much.
    """

    what: str
    value: float
    bar: str | None = None
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the number keeps its bar; NaN does not."""
        if self.limit is None:
            return True
        return self.value <= self.limit if self.bar == "at most" else self.value >= self.limit

    def __str__(self) -> str:
        """The number beside its bar."""
        told = f"  {self.what:62}{self.value:10.4g}"
        return told if self.limit is None else f"{told}   {self.bar} {self.limit:g}: {'met' if self.met else 'NOT MET'}"


@dataclass(frozen=True)
class Setting:
    """What is common to the experiments.

    Attributes:
        data_dir: folder with MNIST.
        out: folder for pictures.
        short: make a fiftieth of the steps, to see whether everything runs.
    """

    data_dir: Path | None
    out: Path
    short: bool

    @cached_property
    def train(self) -> Batch:
        """MNIST's training digits."""
        return load_all("mnist", split="train", data_dir=self.data_dir)

    @cached_property
    def test(self) -> Batch:
        """MNIST's test digits."""
        return load_all("mnist", split="test", data_dir=self.data_dir)

    @cached_property
    def classifier(self) -> DigitClassifier:
        """A classifier, trained on MNIST's training digits when it is first needed."""
        started = time.perf_counter()
        classifier = train_digit_classifier(jax.random.key(0), self.train, steps=2000)
        read = np.asarray(classifier.probabilities(self.test["image"])).argmax(axis=1)
        accuracy = np.mean(read == self.test["label"])
        print(f"  reader: {accuracy:.2%} of real test digits, {time.perf_counter() - started:.0f} s", flush=True)
        return classifier

    def fit(
        self, family: str, config: Any, data: Batch, *, steps: int, batch_size: int, key: Key[Array, "..."]
    ) -> tuple[Model, State]:
        """Train a model of a family."""
        model = REGISTRY[family].build(config, data)
        steps = max(1, steps // 50) if self.short else steps
        return model, fit(model, data, key=key, steps=steps, batch_size=batch_size).state


def vae_elbo(setting: Setting) -> Iterator[Number]:
    """MLP VAE on MNIST, grey values, Bernoulli likelihood: the test ELBO after 10 epochs."""
    # One hidden layer of 400 ends at 105.6 nats, one of 1000 at 104.4.
    config, batch_size = vae.Config(hidden=(512, 256), latent_dim=20), 64
    steps = 10 * (len(setting.train["image"]) // batch_size)
    model, state = setting.fit("vae", config, setting.train, steps=steps, batch_size=batch_size, key=jax.random.key(0))
    metrics = {
        name: float(value) for name, value in evaluate(model, state, setting.test, key=jax.random.key(1)).items()
    }
    yield Number("test reconstruction, nats", metrics["reconstruction"])
    yield Number("test KL, nats", metrics["kl"])
    yield Number("test negative ELBO, nats", -metrics["elbo"], "at most", 105)


def linear_autoencoder(setting: Setting) -> Iterator[Number]:
    """Linear autoencoder on digits: it finds the subspace of the principal components."""
    latent = 10
    train, test = load_all("digits", split="train"), load_all("digits", split="test")
    # All examples in every batch: with smaller ones, Adam's noise turns the subspace by a degree.
    config = autoencoder.Config(architecture="linear", latent_dim=latent)
    model, state = setting.fit(
        "autoencoder", config, train, steps=10_000, batch_size=len(train["image"]), key=jax.random.key(0)
    )
    pca = PCA(latent).fit(rows(train["image"]))
    x = rows(test["image"])
    best = np.mean((pca.inverse_transform(pca.transform(x)) - x) ** 2)
    mse = float(evaluate(model, state, test, key=jax.random.key(1))["mse"])
    assert model.decode is not None
    # Columns that span what the decoder can reach: its values at the unit vectors, less its value at zero.
    reached = rows(model.decode(state, np.eye(latent, dtype=np.float32)))
    spanned = (reached - rows(model.decode(state, np.zeros((1, latent), np.float32)))).T
    yield Number("test MSE of PCA", best)
    yield Number("test MSE of the autoencoder", mse)
    yield Number("difference, % of PCA's", 100 * abs(mse - best) / best, "at most", 0.5)
    angle = np.degrees(subspace_angles(spanned, pca.components_.T).max())
    yield Number("largest principal angle, degrees", angle, "at most", 2)


def conditional_vae(setting: Setting) -> Iterator[Number]:
    """CVAE on MNIST: the reader sees in a sample the label that was asked for."""
    epoch = len(setting.train["image"]) // 128
    # With 20 codes and one hidden layer of 400, codes drawn from the prior are too far from any example's: 84 %.
    config = cvae.Config(hidden=(512, 256), latent_dim=8)
    model, state = setting.fit("cvae", config, setting.train, steps=20 * epoch, batch_size=128, key=jax.random.key(0))
    label = np.arange(SAMPLES) % 10
    images = np.asarray(model.sample(jax.random.key(1), state, SAMPLES, label=label))
    save(image_grid(images[:100], columns=10), setting.out / "cvae.png")
    seen = np.asarray(setting.classifier.probabilities(images)).argmax(axis=1)
    yield Number("reader agrees with the label, % of samples", 100 * np.mean(seen == label), "at least", 90)
    yield Number("the worst digit, %", 100 * min(np.mean(seen[label == digit] == digit) for digit in range(10)))


def ring_modes(setting: Setting) -> Iterator[Number]:
    """WGAN-GP on the ring of eight Gaussians, ten seeds trained together: modes covered."""
    seeds = 10
    # Small networks can learn ten times as fast as the published ones.
    config = dataclasses.replace(PRESETS["wgan-gp"].config, learning_rate=1e-3, b1=0.5)
    model, states = setting.fit("gan", config, load_all("ring"), steps=10_000, batch_size=256, key=seed_keys(0, seeds))
    points = jax.vmap(lambda state: model.sample(jax.random.key(1), state, POINTS))(states)
    found = jax.vmap(lambda of_seed: mode_metrics(of_seed, ring()))(points)
    covered, near = np.asarray(found["modes"]), 100 * np.asarray(found["high_quality"])
    yield Number("modes covered, mean of seeds", covered.mean())
    yield Number("samples within 3 sigma of a mode, mean of seeds, %", near.mean())
    yield Number("the same, worst seed, %", near.min())
    yield Number(f"seeds of {seeds} that cover 8 of 8 modes", (covered == 8).sum(), "at least", 9)


def dcgan(setting: Setting) -> Iterator[Number]:
    """DCGAN on MNIST: all ten digits appear."""
    model, state = setting.fit(
        "gan", gan.Config(width=32), setting.train, steps=3000, batch_size=64, key=jax.random.key(0)
    )
    yield from digits_present("dcgan", model, state, setting)


def vae_gan(setting: Setting) -> Iterator[Number]:
    """VAE/GAN on MNIST: all ten digits appear."""
    model, state = setting.fit(
        "vaegan", vaegan.Config(), setting.train, steps=3000, batch_size=64, key=jax.random.key(0)
    )
    yield from digits_present("vaegan", model, state, setting)


def digits_present(name: str, model: Model, state: State, setting: Setting) -> Iterator[Number]:
    """Draw samples, save a grid of them, and count which digits the reader is sure to see."""
    images = np.asarray(model.sample(jax.random.key(1), state, SAMPLES))
    save(image_grid(images[:100], columns=10), setting.out / f"{name}.png")
    of_samples, of_real = (
        np.asarray(setting.classifier.probabilities(shown)) for shown in (images, setting.test["image"])
    )
    sure = of_samples.max(axis=1) >= SURE
    shares = 100 * np.bincount(of_samples.argmax(axis=1)[sure], minlength=10) / SAMPLES
    for digit, share in enumerate(shares):
        yield Number(f"surely (p >= {SURE}) a {digit}, % of samples", share)
    yield Number("mean confidence of the reader, samples", of_samples.max(axis=1).mean())
    yield Number("mean confidence of the reader, real test digits", of_real.max(axis=1).mean())
    yield Number("the rarest digit, % of samples", shares.min(), "at least", 1)


def load_all(name: str, **arguments: Any) -> Batch:
    """Load data that fit in memory."""
    data = load(name, **arguments)
    assert not isinstance(data, Stream)
    return data


def rows(images: Any) -> np.ndarray:
    """Pictures, uint8 or values in [0, 1], as rows of values in [0, 1]."""
    images = np.asarray(images)
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat / 255 if images.dtype == np.uint8 else flat


EXPERIMENTS: dict[str, Callable[[Setting], Iterator[Number]]] = {
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
    parser.add_argument("--only", choices=EXPERIMENTS, nargs="+", default=list(EXPERIMENTS), help="experiments")
    parser.add_argument("--out", type=Path, default=Path("runs/quality"), help="folder for the pictures")
    parser.add_argument("--short", action="store_true", help="a fiftieth of the steps: does everything run?")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    setting = Setting(arguments.data_dir, arguments.out, arguments.short)
    missed = []
    for name in arguments.only:
        experiment = EXPERIMENTS[name]
        print(f"{name}: {experiment.__doc__}", flush=True)
        started = time.perf_counter()
        for number in experiment(setting):
            print(number, flush=True)
            if not number.met:
                missed.append(f"{name}: {number.what}")
        print(f"  wall time {time.perf_counter() - started:.0f} s\n", flush=True)
    if missed:
        raise SystemExit("not met: " + "; ".join(missed))
    print(f"all bars met; pictures are in {arguments.out}")


if __name__ == "__main__":
    main()
