"""Weights of the networks by a rule, installed as if they were the published files."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from jaxgen.metrics.extractors.conversion import parameter_shapes
from jaxgen.metrics.extractors.inception import INCEPTION_WEIGHTS
from jaxgen.nn.inception_2015 import Inception2015
from tests.metrics.extractors.weights_by_rule import weights_by_rule


@pytest.fixture(scope="session")
def references():
    """Outputs of pytorch-fid, torch-fidelity and clean-fid, which ran with the weights of the rule."""
    return np.load(Path(__file__).with_name("references.npz"))


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of the published file of Inception."""
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for name, shape in parameter_shapes(Inception2015(), 75).items():
        if name.endswith("conv/kernel"):
            module = name.removesuffix("conv/kernel").replace("/", ".")
            shapes[f"{module}conv.weight"] = (shape[3], shape[2], *shape[:2])
            shapes |= {f"{module}bn.{kind}": (shape[3],) for kind in ("weight", "bias", "running_mean", "running_var")}
    return shapes


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory):
    """A file in the format of the published one, with weights by the rule, and its description."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    arrays = {name: torch.from_numpy(array) for name, array in weights_by_rule(published_shapes()).items()}
    torch.save(arrays, path, _use_new_zipfile_serialization=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, dataclasses.replace(INCEPTION_WEIGHTS, sha256=digest)
