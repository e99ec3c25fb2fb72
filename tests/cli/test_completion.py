"""Completion by the shell."""

import shutil
import subprocess

import pytest

TRY = """
source "$1"; shift
COMP_WORDS=(jaxgen "$@"); COMP_CWORD=$#; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
_tyro_jaxgen jaxgen "${COMP_WORDS[COMP_CWORD]}" ""
echo "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_models_options_and_choices(tmp_path, jaxgen):
    result = jaxgen("completion", "bash")
    assert result.status == 0
    (tmp_path / "script").write_text(result.out)

    def completed(*words):
        command = ["bash", "-c", TRY, "bash", tmp_path / "script", *words]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert completed("rep") == {"report", "reproduce"}
    assert completed("train", "wg") == {"wgan", "wgan-gp"}
    assert completed("train", "vae", "--like") == {"--likelihood"}
    assert completed("train", "vae", "--likelihood", "") == {"bernoulli", "gaussian", "laplace"}
    assert completed("sample", "--lab") == {"--label"}
    assert completed("reproduce", "pac") == {"pacgan-mixtures"}
    assert completed("data", "--da") == {"--data-dir"}


def test_other_shells_have_a_script_and_unknown_ones_are_named(jaxgen, refused, monkeypatch):
    monkeypatch.setattr(
        "jaxgen.cli.completion.commands", lambda: {"list": type("A", (), {}), "data": type("B", (), {})}
    )
    assert refused("completion", "tcsh") == "SHELL cannot be 'tcsh': choices are bash, fish, zsh"
    assert refused("completion") == "jaxgen completion needs SHELL: bash, zsh or fish"
