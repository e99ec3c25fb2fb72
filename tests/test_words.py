"""The library is written in the words of its field: what papers, optax and Flax call by one name has that name here.

Every text file of the repository is checked as a whole: identifiers, docstrings, comments, messages, option help, docs.
"""

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WORDS = {
    r"turns?": "step; alternates",
    r"moves?|moves_at_once": "update; changes; transports",
    r"pictures?|pictured": "image for data, figure for plots",
    r"told|tells? apart|tell_apart": "conditioned on, given; distinguish",
    r"judge[ds]?|judging|judgements?|opinion": "discriminate, apply; measure",
    r"slopes?": "gradient norm, derivative",
    r"readers?": "classifier; user",
    r"painted|painting|paints": "generated",
    r"twins": "nearest pairs (a PyTorch twin of a workload is one twin)",
    r"films?": "animation",
    r"lone": "single",
    r"laboratory": "analysis",
    r"adversaries": "networks",
    r"findings?": "section, report",
    r"game on the line|game_on_the_line": "1-D GAN",
    r"sound (runs?|seeds?|ones?)|first_sound": "finite",
    r"left the numbers": "diverged, is not finite",
    r"whole (checkpoints?|files?|ones?)": "complete",
    r"codes": "latents, latent codes as `latent codes z`",
    r"nobody|somebody|anybody": "a plain statement",
    r"asked|asks": "given, requested",
    r"sure": "confident, certain",
    r"feels?|felt": "the gradient that reaches",
    r"remember(s|ed|ing)?": "stored, cached",
}
"""What must not be written -> what to write instead. Underscores separate words, so identifiers are checked too."""

ALLOWED = {
    "negative_slope": "argument of jax.nn.leaky_relu",
    r"csv\.reader": "function of the standard library",
    "latent codes": "as the papers have it",
    "earth mover": "the name of a distance",
    "rgb codes": "the name of a notation of colours",
    "make sure": "advice in error messages",
}

CHECKED = {".py", ".md", ".toml", ".yml", ".yaml", ".cff", ".ipynb", ""}
UNCHECKED = {"tests/test_words.py", "LICENSE", "constraints.txt"}


def words_that_are_out(text: str) -> Counter[str]:
    """Count the words that must not be written, by word."""
    for allowed in ALLOWED:
        text = re.sub(rf"\b{allowed}\b", "", text, flags=re.IGNORECASE)
    found: Counter[str] = Counter()
    for pattern in WORDS:
        whole_word = rf"(?<![a-z])(?:{pattern})(?![a-z])"
        found.update(match.lower() for match in (m.group(0) for m in re.finditer(whole_word, text, re.IGNORECASE)))
    return found


def checked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    return [
        name
        for name in listed
        if name and name not in UNCHECKED and Path(name).suffix in CHECKED and (ROOT / name).is_file()
    ]


@pytest.mark.parametrize("folder", sorted({name.partition("/")[0] for name in checked_files()}))
def test_words_that_the_glossary_replaced_do_not_come_back(folder: str) -> None:
    found = {}
    for name in checked_files():
        if name.partition("/")[0] != folder:
            continue
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1):
            if words := words_that_are_out(line):
                found[f"{name}:{number}"] = sorted(words)
    assert found == {}


def test_the_check_finds_words_in_identifiers_and_prose_and_allows_names_of_other_libraries() -> None:
    assert words_that_are_out("def judge(picture_grid): return 0") == {"judge": 1, "picture": 1}
    assert words_that_are_out("leaky_relu(x, negative_slope=0.2)") == {}


if __name__ == "__main__":
    total: Counter[str] = Counter()
    for file in checked_files():
        total += words_that_are_out((ROOT / file).read_text(errors="replace"))
    print(sum(total.values()), dict(total.most_common()))
