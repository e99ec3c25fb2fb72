"""Print the tests that belong to the files changed in the working tree or since `main`: what `make check` runs.

A file of the package has the test file at the same place below `tests/`; where there is none, the tests of its folder.
"""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def changed_files() -> list[str]:
    """Return the changed and new files, relative to the repository."""
    base = _git("merge-base", "HEAD", "main") or ["HEAD"]
    return sorted({*_git("diff", "--name-only", base[0]), *_git("ls-files", "--others", "--exclude-standard")})


def tests_of(name: str) -> str | None:
    """Return the test file or folder that belongs to a file; None if there is none."""
    path = Path(name)
    if path.suffix != ".py" or not (ROOT / path).exists():
        return None
    if path.parts[0] == "tests":
        return name if path.name.startswith("test_") else None
    inside = Path("tests", *path.parts[1:]) if path.parts[0] == "jaxgen" else Path("tests") / path
    for candidate in (inside.with_name(f"test_{path.name}"), inside.parent):
        if candidate != Path("tests") and (ROOT / candidate).exists():
            return str(candidate)
    return None


def _git(*arguments: str) -> list[str]:
    result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return [line for line in result.stdout.splitlines() if line]


if __name__ == "__main__":
    print(*sorted({test for name in changed_files() if (test := tests_of(name))}), sep="\n")
