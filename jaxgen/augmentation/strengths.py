"""How much the operators of adaptive discriminator augmentation change an image."""

from dataclasses import dataclass, fields

from jaxgen._arrays import check_number
from jaxgen.errors import InputError, shortened


@dataclass(frozen=True)
class Strengths:
    """Ranges and standard deviations of the operators, by default those of the paper.

    Attributes:
        xint_max: largest translation by whole pixels, as a share of the side.
        scale_std: standard deviation of the binary logarithm of isotropic scaling.
        rotate_max: largest angle of rotation, in units of pi.
        aniso_std: standard deviation of the binary logarithm of anisotropic scaling.
        xfrac_std: standard deviation of the translation by fractions of pixels, as a share of the side.
        brightness_std: standard deviation of what is added to all colours, which are in [-1, 1].
        contrast_std: standard deviation of the binary logarithm of the factor of all colours.
        hue_max: largest angle of the rotation of hues, in units of pi.
        saturation_std: standard deviation of the binary logarithm of the factor of the saturation.
        imgfilter_bands: factors of the probability with which each of the four frequency bands is amplified, from the
            lowest to the highest.
        imgfilter_std: standard deviation of the binary logarithm of the amplification.
        noise_std: standard deviation of the half-normal distribution of the standard deviation of noise.
        cutout_size: sides of the rectangle that is set to 0, as a share of the sides of the image.

    Reference:
        Karras et al. 2020, arXiv:2006.06676, appendix B.
    """

    xint_max: float = 0.125
    scale_std: float = 0.2
    rotate_max: float = 1.0
    aniso_std: float = 0.2
    xfrac_std: float = 0.125
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    hue_max: float = 1.0
    saturation_std: float = 1.0
    imgfilter_bands: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    imgfilter_std: float = 1.0
    noise_std: float = 0.1
    cutout_size: float = 0.5

    def check(self) -> None:
        """Raise an InputError if a number is negative or not finite, or there are not four bands."""
        bands = self.imgfilter_bands
        if not isinstance(bands, tuple | list) or len(bands) != 4:
            raise InputError(f"imgfilter_bands must be four numbers, got {shortened(bands)}")
        numbers = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "imgfilter_bands"}
        numbers |= {f"imgfilter_bands[{i}]": band for i, band in enumerate(bands)}
        for name, number in numbers.items():
            check_number(name, number, at_least=0, finite=True)
