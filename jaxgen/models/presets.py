"""The presets of all families by name."""

from jaxgen.models.biggan_presets import BIGGAN_PRESETS
from jaxgen.models.gan_presets import GAN_PRESETS
from jaxgen.models.growing_presets import GROWING_PRESETS
from jaxgen.models.preset import Preset as Preset
from jaxgen.models.style_transfer_presets import STYLE_TRANSFER_PRESETS
from jaxgen.models.stylegan2_presets import STYLEGAN2_PRESETS

PRESETS: dict[str, Preset] = GAN_PRESETS | BIGGAN_PRESETS | GROWING_PRESETS | STYLE_TRANSFER_PRESETS | STYLEGAN2_PRESETS
"""Name of a preset -> the published options."""
