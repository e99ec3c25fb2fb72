"""Completion by the shell."""

import ast
import contextlib
import io
import re
import shutil
import subprocess

import pytest

from jaxgen.cli.main import COMMANDS, main
from jaxgen.cli.options import options_of
from jaxgen.cli.train import Options
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.recipes import RECIPES
from jaxgen.runs import RunConfig

TRY = """
source "$1"; shift
COMP_WORDS=(jaxgen "$@"); COMP_CWORD=$#; COMP_LINE="${COMP_WORDS[*]}"; COMP_POINT=${#COMP_LINE}
_tyro_jaxgen jaxgen "${COMP_WORDS[COMP_CWORD]}" ""
echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts():
    """Shell -> its script."""
    return {shell: capture(shell) for shell in ("bash", "zsh", "fish")}


def capture(shell):
    """The script, which tyro prints."""
    with contextlib.redirect_stdout(io.StringIO()) as written, pytest.raises(SystemExit) as stop:
        main(["completion", shell])
    assert stop.value.code == 0
    return written.getvalue()


def specification(script, shell):
    """The commands and options of a script, which a Python program within it uses."""
    if shell == "fish":  # The program is a text in double quotes.
        script = re.sub(r'\\([$"\\])', r"\1", script)
    (found,) = re.findall(r"^COMPLETION_SPEC = (\{.*\})$", script, flags=re.MULTILINE)
    return ast.literal_eval(found)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_models_options_and_choices(tmp_path, scripts):
    (tmp_path / "script").write_text(scripts["bash"])

    def completed(*words):
        command = ["bash", "-c", TRY, "bash", tmp_path / "script", *words]
        return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert completed("rep") == {"report", "reproduce"}
    assert completed("ben") == {"benchmark"}
    assert completed("help", "rep") == {"report", "reproduce"}
    assert completed("--dev") == {"--device"}
    assert completed("train", "wg") == {"wgan", "wgan-gp"}
    assert completed("train", "--") >= {"--config", "--family", "--out", "--resume", "--device"}
    assert completed("train", "vae", "--like") == {"--likelihood"}
    assert completed("train", "vae", "--conf") == {"--config"}
    assert completed("train", "vae", "--likelihood", "") == {"bernoulli", "gaussian", "laplace"}
    assert completed("sample", "--lab") == {"--label"}
    assert completed("sample", "--device", "") >= {"cpu", "gpu", "tpu"}
    assert completed("metrics", "weights", "inception", "--fr") == {"--from"}
    assert completed("reproduce", "pac") == {"pacgan-mixtures", "pacgan-ring"}
    assert completed("data", "prep") == {"prepare"}
    assert completed("completion", "z") == {"zsh"}
    assert completed("data", "prepare", "--da") == {"--data-dir"}
    assert completed("import-weights", "jax") == {"jaxgen"}
    assert completed("import-weights", "stylegan2-c") == {"stylegan2-cifar10"}
    assert completed("import-weights", "stylegan2", "--da") == {"--data", "--data-dir"}
    assert completed("export", "--run") == {"--run-index"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_have_every_command_model_recipe_and_option(shell, scripts):
    commands = specification(scripts[shell], shell)["subcommands"]
    assert set(commands) == {*COMMANDS, "help"}
    assert set(commands["help"]["subcommands"]) == set(COMMANDS)
    assert set(commands["reproduce"]["subcommands"]) == set(RECIPES)
    assert set(commands["train"]["subcommands"]) == {*REGISTRY, *PRESETS}
    for family in REGISTRY:
        completed = {flag for entry in commands["train"]["subcommands"][family]["options"] for flag in entry["flags"]}
        options = options_of(Options, Options(RunConfig(REGISTRY[family].config())))
        # Of a flag that is set by default it is the name that unsets it, as in the help.
        assert completed >= {f"--no-{o.name[2:]}" if o.default is True else o.name for o in options}
    for name, command in commands.items():
        assert "--device" in {flag for option in command["options"] for flag in option["flags"]}, name


def test_unknown_shells_are_refused(refused):
    assert refused("completion", "tcsh") == "SHELL cannot be 'tcsh': choices are bash, fish, zsh"
    assert refused("completion") == "jaxgen completion needs SHELL: bash, zsh or fish"
