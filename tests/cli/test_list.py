"""`jaxgen list` shows what there is."""

from jaxgen.data import DATASETS
from jaxgen.models import REGISTRY


def test_families_and_data_sets_are_shown_one_a_line(jaxgen):
    said = jaxgen("list")
    assert said.status == 0
    for name, entry in (REGISTRY | DATASETS).items():
        (line,) = (line for line in said.out.splitlines() if line.split()[0] == name)
        assert line.endswith(entry.description)
