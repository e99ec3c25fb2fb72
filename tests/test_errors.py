import pytest

from jaxgen.errors import MAX_LISTED, InputError, check_known, suggest


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
