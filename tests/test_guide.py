"""The programs in the guide are run as they are printed, and are as short as it says."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "own_parts.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS, ids=["vae_with_own_modules", "gan_with_own_penalty"])
def test_programs_of_the_guide_run_and_have_fewer_than_thirty_lines(program: str) -> None:
    assert len(program.splitlines()) < 30
    names: dict = {}
    exec(program, names)
    samples = np.asarray(names["samples"])
    assert np.isfinite(samples).all()
    assert samples.std() > 0
    first, last = (values.mean() for values in np.array_split(next(iter(names["result"].history.values())), 2))
    assert np.isfinite([first, last]).all()


def test_guide_has_both_programs_and_names_what_it_replaces() -> None:
    vae_program, gan_program = PROGRAMS
    assert "encoder=Encoder(), decoder=Decoder()" in vae_program
    assert "discriminator=Discriminator(), penalty=penalty" in gan_program
    jax.clear_caches()
