from collections.abc import Callable
from pathlib import Path

import pytest

from jaxgen.callbacks.best_state import Found
from jaxgen.callbacks.checkpoints import diverged_from_json
from jaxgen.data import example_from
from jaxgen.errors import MAX_LISTED, MAX_QUOTED, InputError, check_known, printable, shortened, suggest
from jaxgen.models.standardization import standardization_from
from jaxgen.models.validation import check_positive
from jaxgen.runs import RunConfig
from jaxgen.runs.config_json import fields_from, from_json
from jaxgen.runs.start import Durations


@pytest.mark.parametrize(
    ("word", "known", "suggestion"),
    [
        ("veae", ["gan", "vae"], "did you mean 'vae'?"),
        ("fashon_mnist", ["mnist", "kmnist", "fashion_mnist"], "did you mean 'fashion_mnist'?"),
        ("diffusion", ["vae", "gan"], "choices are gan, vae"),
        ("zzz", [f"name{i}" for i in range(MAX_LISTED + 1)], "no known name is similar"),
    ],
)
def test_suggestion_is_the_most_similar_name_or_a_short_list(word: str, known: list[str], suggestion: str) -> None:
    assert suggest(word, known) == suggestion


def test_check_known_accepts_known_names_and_suggests_a_name_for_unknown_ones() -> None:
    check_known("loss", "wasserstein", {"wasserstein": 1})
    with pytest.raises(InputError, match=r"^there is no loss 'waserstein': did you mean 'wasserstein'\?$"):
        check_known("loss", "waserstein", {"wasserstein": 1})


@pytest.mark.parametrize("name", [None, ["wasserstein"], 3])
def test_check_known_rejects_values_that_are_not_strings(name: object) -> None:
    with pytest.raises(InputError, match="there is no loss"):
        check_known("loss", name, ["wasserstein", "hinge"])  # type: ignore[arg-type]


def test_what_controls_a_terminal_is_escaped_and_what_is_printed_is_unchanged() -> None:
    controls = [*map(chr, range(32)), *map(chr, range(127, 160)), *"\u200b\u202a\u202e\u2028\u2066\ufeff\udc80"]
    for character in controls:
        escaped = printable(f"a{character}b")
        assert escaped.isprintable()
        assert escaped.encode("ascii").decode("unicode_escape") == f"a{character}b"
    for text in ("café ñ", "数字", "a b\\c", "±3 %", ""):
        assert printable(text) == text


NESTED = [[0] * 9] * 9
for _ in range(4):
    NESTED = [NESTED] * 9  # type: ignore[list-item]


LARGE = [NESTED, {"a": NESTED}, "x" * 10**6, 1 << 10**6, {i: i for i in range(10**5)}]


@pytest.mark.parametrize("value", LARGE, ids=["levels", "entry", "text", "integer", "mapping"])
def test_values_of_any_size_are_quoted_in_few_characters(value: object) -> None:
    assert len(shortened(value)) < MAX_QUOTED + 4


@pytest.mark.parametrize("value", ["vae", 3, 1e-3, None, (64, 32), ["a", "b"], {"a": 1}])
def test_short_values_are_quoted_as_python_writes_them(value: object) -> None:
    assert shortened(value) == repr(value)


@pytest.mark.parametrize(
    "refused",
    [
        lambda value: check_known("loss", value, ["hinge"]),
        lambda value: check_positive(latent_dim=value),
        lambda value: standardization_from(value, 2),
        lambda value: example_from(value),
        lambda value: example_from({"point": {"shape": value, "dtype": "float32"}}),
        lambda value: Found.stored({"best": value}),
        lambda value: diverged_from_json({"diverged": value}),
        lambda value: Durations.stored({"seconds": value}),
        lambda value: fields_from(RunConfig, value),
        lambda value: fields_from(RunConfig, {"steps": value}),
        lambda value: from_json({"family": "vae", "config": {"model_config": value}, "example": {}}, Path("x")),
    ],
)
def test_messages_quote_a_part_of_values_from_files(refused: Callable[[object], object]) -> None:
    with pytest.raises(InputError) as error:
        refused(NESTED)
    assert len(str(error.value)) < 1000
