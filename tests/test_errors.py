import pytest

from jaxgen.errors import MAX_LISTED, InputError, check_known, printable, suggest


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
