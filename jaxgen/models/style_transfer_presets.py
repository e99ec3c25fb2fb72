"""The published options of style transfer."""

from jaxgen.models import style_transfer
from jaxgen.models.preset import Preset

STYLE_TRANSFER_PRESETS: dict[str, Preset] = {
    "adain": Preset(
        # The learning rate is 1e-4 / (1 + 5e-5 step).
        style_transfer.Config(schedule="inverse", decay_steps=20_000),
        "arbitrary style transfer with the normalised VGG-19, for images of 256 x 256 pixels",
        "Huang & Belongie 2017, arXiv:1703.06868, section 6, and the authors' code",
        family="style_transfer",
        batch_size=8,
    ),
}
