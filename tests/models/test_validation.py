import math

import pytest

from jaxgen.errors import InputError
from jaxgen.models.validation import check_not_negative, check_positive


@pytest.mark.parametrize("value", [0, -1, -0.0, math.inf, math.nan, -math.inf])
def test_first_value_that_is_not_positive_raises_input_error(value: float) -> None:
    with pytest.raises(InputError, match=f"^width must be positive and finite, got {value}$"):
        check_positive(latent_dim=1, width=value, learning_rate=-1.0)


@pytest.mark.parametrize("value", [-1, -1e-30, math.inf, math.nan])
def test_first_negative_value_raises_input_error(value: float) -> None:
    with pytest.raises(InputError, match=f"^beta must be finite and not negative, got {value}$"):
        check_not_negative(l1=0.0, beta=value)


def test_valid_values_pass() -> None:
    check_positive(latent_dim=1, learning_rate=1e-30)
    check_not_negative(beta=0, l1=1e30)
