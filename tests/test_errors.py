import pytest

from jaxgen.errors import LONGEST_LIST, InputError, check_known, nearest


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("veae", ["gan", "vae"], "did you mean 'vae'?"),
        ("fashon_mnist", ["mnist", "kmnist", "fashion_mnist"], "did you mean 'fashion_mnist'?"),
        ("diffusion", ["vae", "gan"], "known are gan, vae"),
        ("zzz", [f"name{i}" for i in range(LONGEST_LIST + 1)], "no name is near it"),
    ],
)
def test_the_nearest_name_or_a_list_that_can_be_read(word: str, known: list[str], said: str) -> None:
    assert nearest(word, known) == said


def test_known_names_pass_and_others_are_refused_in_one_sentence() -> None:
    check_known("loss", "wasserstein", {"wasserstein": 1})
    with pytest.raises(InputError, match=r"^there is no loss 'waserstein': did you mean 'wasserstein'\?$"):
        check_known("loss", "waserstein", {"wasserstein": 1})


@pytest.mark.parametrize("name", [None, ["wasserstein"], 3])
def test_what_is_no_name_is_refused_likewise(name: object) -> None:
    with pytest.raises(InputError, match="there is no loss"):
        check_known("loss", name, ["wasserstein", "hinge"])  # type: ignore[arg-type]
