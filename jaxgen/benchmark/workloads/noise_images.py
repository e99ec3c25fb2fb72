"""Images to train on."""

import numpy as np

from jaxgen.benchmark.workloads.workload import Shape


def noise_images(shape: Shape, *, examples: int = 2_000) -> dict[str, np.ndarray]:
    """Return images of uniform noise: the time of a step does not depend on the content."""
    return {"image": np.random.default_rng(0).integers(0, 256, (examples, *shape), dtype=np.uint8)}
