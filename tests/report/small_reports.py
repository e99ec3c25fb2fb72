"""Configs of small runs of every kind, models with known outputs, and what sections pass to other functions."""

import dataclasses
import functools
import importlib
from html.parser import HTMLParser

import jax.numpy as jnp
import numpy as np

from jaxgen.data import example, load
from jaxgen.game import State
from jaxgen.models import REGISTRY
from jaxgen.report.section import ReportInput
from jaxgen.runs import Run, RunConfig
from tests.small_runs import LINEAR, LinearConfig

BASE = RunConfig(model_config=None, steps=20, batch_size=32, log_every=10, checkpoint_every=20, image_every=20)


def config(family, *, run, **options):
    return dataclasses.replace(BASE, model_config=REGISTRY[family].config(**options), **run)


SPECTRAL = {"architecture": "mlp", "discriminator_normalization": "spectral"}
CRITIC = {"loss": "wasserstein", "penalty": "gradient", "discriminator_updates": 2}

FEATURES = {"metrics": ("precision_recall",), "metric_samples": 40}

RUNS = {
    "vae": config("vae", run={"seeds": 2, "image_every": 10} | FEATURES, hidden=(16,), latent_dim=2),
    "cvae": config("cvae", run={}, hidden=(16,), latent_dim=3),
    "ring": config("gan", run={"data": "ring", "seeds": 2, "steps": 40, "image_every": 10}, hidden=(16,), **CRITIC),
    "gan_1d": config("gan", run={"data": "gaussian_1d", "steps": 40}, hidden=(16,)),
    "digits": config("gan", run={}, hidden=(16,), latent_dim=3, **SPECTRAL),
    "classifier": config("classifier", run={"seeds": 2}, architecture="mlp", hidden=(16,)),
    "embedding": dataclasses.replace(BASE, image_every=10, model_config=LinearConfig(latent_dim=2)),
}
"""Name -> config of a run; most of their time is that of figures, so there are few."""

FAMILIES = {
    "vae": REGISTRY["vae"],
    "cvae": REGISTRY["cvae"],
    "ring": REGISTRY["gan"],
    "gan_1d": REGISTRY["gan"],
    "digits": REGISTRY["gan"],
    "classifier": REGISTRY["classifier"],
    "embedding": LINEAR,
}

MODELS = {
    "embedding": LINEAR.build(LinearConfig(latent_dim=2), example(load("digits")))._replace(
        sample=None, decode=None, reconstruct=None, evaluate=None
    )
}
"""Models in place of those of the family: one that only encodes."""


STATE = State(jnp.int32(0), {"nothing": jnp.zeros(1)}, {}, {}, {})
"""State of one seed, for models that do not depend on it."""


@functools.cache
def points(data):
    return load(data, examples=5000)


def inputs_of(run, **fields):
    """The input of a section without data, where none are given."""
    return ReportInput(
        **{"run": run, "seed": 0, "training_examples": {}, "test_split": {}, "test_examples": {}} | fields
    )


@dataclasses.dataclass(frozen=True)
class ClassifyingLoss:
    loss: str = "non_saturating"


def on_points(model, data, state=STATE):
    """The input of a section for a GAN on points with known outputs."""
    example_batch = {"point": np.zeros((1, 1 if data == "gaussian_1d" else 2), np.float32), "label": np.array([7])}
    run = Run(None, "gan", RunConfig(model_config=ClassifyingLoss(), data=data), example_batch, model, state, 0, {}, ())
    return inputs_of(run, training_examples=points(data))


def recorded(monkeypatch, section, name, instead=None):
    """The arguments of all calls of a function in the module of a section; another function may be called instead."""
    module = importlib.import_module(f"jaxgen.report.{section}")
    calls, original = [], instead or getattr(module, name)

    def record(*arguments, **options):
        calls.append((arguments, options))
        return original(*arguments, **options)

    monkeypatch.setattr(module, name, record)
    return calls


def without_files(monkeypatch, section):
    """Replace the rendering of figures in the module of a section; return the list of `(figure, caption)`."""
    drawn = []
    monkeypatch.setattr(f"jaxgen.report.{section}.png", lambda name, figure, caption: drawn.append((figure, caption)))
    return drawn


def rows_of(monkeypatch, section, function, inputs):
    """The named rows of images that a section draws."""
    rows = {}
    monkeypatch.setattr("jaxgen.plot.image_rows", lambda given, **_: rows.update(given))
    without_files(monkeypatch, section)
    function(inputs)
    return {name: np.asarray(images) for name, images in rows.items()}


class StrictParser(HTMLParser):
    """A parser that fails where a tag is not closed; it collects the text and the sources of images."""

    VOID = ("meta", "img", "link", "br")

    def __init__(self):
        super().__init__()
        self.open, self.text, self.sources = [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag != "script"
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name == "src"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(html):
    parser = StrictParser()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser
