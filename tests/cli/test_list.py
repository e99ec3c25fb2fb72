"""`jaxgen list`: models, presets and data sets, one per line."""

from jaxgen.data import DATASETS
from jaxgen.models import PRESETS, REGISTRY


def test_models_presets_and_data_sets_are_listed_one_per_line(jaxgen):
    result = jaxgen("list")
    assert result.status == 0
    described = {name: family.summary for name, family in REGISTRY.items()}
    described |= {name: entry.description for name, entry in (PRESETS | DATASETS).items()}
    for name, description in described.items():
        (line,) = (line for line in result.out.splitlines() if line.split()[0] == name)
        assert line.endswith(description)
