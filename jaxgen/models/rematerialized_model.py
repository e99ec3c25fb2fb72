"""Training of any model with rematerialization."""

from jaxgen.game import Model
from jaxgen.models.decorated_steps import with_decorated_steps
from jaxgen.nn.rematerialization import rematerialization


def rematerialized(model: Model) -> Model:
    """Return a model whose training stores fewer features: its blocks are computed again in the backward pass.

    It changes the families `progressive`, `stylegan`, `stylegan2` and `biggan`, whose networks consist of such blocks.

    Args:
        model: model to train.

    Returns:
        The model with other steps and losses, those of its phases as well.

    Reference:
        Chen et al. 2016, arXiv:1604.06174.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import biggan
        >>> digits = load("digits")
        >>> model = biggan.build(biggan.Config(width=1, latent_dim=2, shared_dim=2), digits)
        >>> rematerialized(model).players[0].name
        'discriminator'
    """
    return with_decorated_steps(model, rematerialization())
