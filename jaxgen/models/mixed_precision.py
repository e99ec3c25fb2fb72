"""Training of any model in mixed precision."""

from jaxgen.game import Model
from jaxgen.models.decorated_steps import with_decorated_steps
from jaxgen.nn.precision import mixed_precision


def in_mixed_precision(model: Model) -> Model:
    """Return a model whose networks multiply in bfloat16 during the training; everything else is that of the model.

    Parameters, optimizers, statistics and losses are float32. Samples and metrics are computed in float32.

    Args:
        model: model to train.

    Returns:
        The model with other steps and losses, those of its phases as well.

    Reference:
        Kalamkar et al. 2019, arXiv:1905.12322.

    Example:
        >>> import jax
        >>> from jaxgen.data import load
        >>> from jaxgen.models import vae
        >>> from jaxgen.training import fit
        >>> digits = load("digits")
        >>> model = in_mixed_precision(vae.build(vae.Config(hidden=(8,)), digits))
        >>> int(fit(model, digits, key=jax.random.key(0), steps=2, batch_size=8).state.step)
        2
    """
    return with_decorated_steps(model, mixed_precision())
