"""Published configurations of PGGAN and StyleGAN: each is a `Config` of `jaxgen.models.progressive` or `stylegan`.

The batch size is that of the last phase. Where nothing else is stated, a preset has images of its own size, e.g. by
`--image-size 256`. The first values of batch sizes and learning rates are those of images of 4 x 4 pixels for PGGAN,
and of 8 x 8 for StyleGAN.
"""

from typing import Any

from jaxgen.models import progressive, stylegan
from jaxgen.models.preset import Preset

PUBLISHED: dict[str, Any] = {
    "base": 8192,
    "largest": 512,
    "latent_dim": 512,
    "stabilize": 600_000,
    "fade": 600_000,
}
"""Options that both papers have in common."""

GROWING_PRESETS: dict[str, Preset] = {
    "progressive-1024": Preset(
        progressive.Config(
            size=1024,
            batch_sizes=(512, 256, 128, 64, 32),
            learning_rate_factors=(1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 3.0),
            **PUBLISHED,
        ),
        "growing from 4 x 4 to 1024 x 1024 images",
        "Karras et al. 2018, arXiv:1710.10196, configuration v2 for 8 GPUs of the authors' code",
        family="progressive",
        batch_size=32,
    ),
    "progressive-cifar10": Preset(
        progressive.Config(
            size=32,
            base=4096,
            largest=512,
            latent_dim=512,
            stabilize=400_000,
            fade=400_000,
            batch_sizes=(16,),
            group=16,
            fused=False,
            gradient_norm=750.0,
        ),
        "growing from 4 x 4 to 32 x 32 images",
        "Karras et al. 2018, arXiv:1710.10196, section 6.5, configuration of the authors' first code",
        family="progressive",
        batch_size=16,
    ),
    "progressive-32": Preset(
        progressive.Config(size=32, start=8, batch_sizes=(64, 64, 32)),
        "growing from 8 x 8 to 32 x 32 images",
        "Karras et al. 2018, arXiv:1710.10196; smaller networks and shorter phases",
        family="progressive",
        batch_size=32,
    ),
    "stylegan-1024": Preset(
        stylegan.Config(
            size=1024,
            style_dim=512,
            batch_sizes=(256, 128, 64, 32),
            learning_rate_factors=(1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 3.0),
            **PUBLISHED,
        ),
        "styles by AdaIN, growing from 8 x 8 to 1024 x 1024 images",
        "Karras et al. 2019, arXiv:1812.04948, configuration for 8 GPUs of the authors' code",
        family="stylegan",
        batch_size=32,
    ),
    "stylegan-32": Preset(
        stylegan.Config(size=32, batch_sizes=(64, 64, 32)),
        "styles by AdaIN, growing from 8 x 8 to 32 x 32 images",
        "Karras et al. 2019, arXiv:1812.04948; smaller networks and shorter phases",
        family="stylegan",
        batch_size=32,
    ),
}
