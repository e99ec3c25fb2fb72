"""Options that are taken out of the arguments before the others are parsed."""

import pytest

from jaxgen.cli.early_options import take_option
from jaxgen.errors import InputError


@pytest.mark.parametrize(
    ("arguments", "value", "rest"),
    [
        ([], None, []),
        (["vae", "--steps", "3"], None, ["vae", "--steps", "3"]),
        (["--device", "cpu", "list"], "cpu", ["list"]),
        (["list", "--device=cpu"], "cpu", ["list"]),
        (["list", "--device"], "", ["list"]),
        (["list", "--device", "--json"], "", ["list", "--json"]),
        (["list", "--device="], "", ["list"]),
        (["--devices", "3", "--device-count=2"], None, ["--devices", "3", "--device-count=2"]),
    ],
)
def test_the_value_is_taken_wherever_it_stands(arguments, value, rest):
    given = list(arguments)
    assert take_option(arguments, "--device") == (value, rest)
    assert arguments == given


def test_an_option_that_is_given_twice_is_refused():
    with pytest.raises(InputError, match=r"^--device must be given once, got it 2 times$"):
        take_option(["--device", "cpu", "list", "--device=gpu"], "--device")
