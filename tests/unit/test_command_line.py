"""Options that all commands have."""

import io
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hubline.pipeline.cli import app, main
from tests.support.pipeline_files import TRIPS

COMMANDS = [[command.name or command.callback.__name__.strip("_")] for command in app.registered_commands]
GROUPS = [[group.name] for group in app.registered_groups]


def test_the_version_names_the_stack() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    stack = f"TFX {version('tfx')}, TensorFlow {version('tensorflow')}, Python {platform.python_version()}"
    assert done.output == f"hubline {version('hubline')} ({stack})\n"


@pytest.mark.parametrize("command", [[], *COMMANDS, *GROUPS], ids=" ".join)
def test_h_is_short_for_help(command: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*command, option]) for option in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.output == long.output
    assert "Usage:" in short.output


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_has_an_example(command: list[str]) -> None:
    assert f"Example: hubline {command[0]}" in CliRunner().invoke(app, [*command, "--help"]).output.replace(
        "Example: echo '{\"fare\": 12.5}' | hubline", "Example: hubline"
    )


def ended(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["hubline", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    return end.value.code or 0, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check",), "Missing argument"),
        (("runs", "list"), "Missing argument"),
        (("run", "x.yaml", "--nope"), "No such option: --nope"),
        (("check", "absent.yaml"), "absent.yaml: there is no such file"),
        (("check", "absent.yaml", "--set", "x"), "--set x: must be KEY=VALUE"),
        (("nope",), "No such command"),
    ],
)
def test_with_json_every_error_is_one_object_too(monkeypatch, capsys, arguments, says: str) -> None:
    code, out, err = ended(monkeypatch, capsys, *arguments, "--json")
    assert code == 2 and says in err
    (line,) = out.splitlines()
    assert json.loads(line)["status"] == "mistake" and says in json.loads(line)["error"]
    assert ended(monkeypatch, capsys, *arguments)[:2] == (2, "")


def test_ctrl_c_ends_any_command_with_its_own_code(monkeypatch, capsys) -> None:
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("hubline.pipeline.preflight.check", interrupted)
    assert ended(monkeypatch, capsys, "check", "x.yaml")[:2] == (130, "")


def test_check_reads_standard_input_against_a_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    def piped(text: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        return ended(monkeypatch, capsys, "check", "-", *arguments)

    text = TRIPS.replace("data/*.gz", "data").replace("serving: {", "export: {tflite: {}}\nserving: {")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    code, _, err = piped(text, "--base", str(tmp_path / "elsewhere"))
    assert code == 2
    assert f"<stdin>:3: data.examples: {tmp_path}/elsewhere/data: no files matched" in err
    assert f"{tmp_path}/data: no files matched" in piped(text)[2]
    assert piped(TRIPS, "--no-files") == (0, "<stdin>: no errors\n", "")
    assert piped(TRIPS, "--no-files", "--quiet") == (0, "", "")
    code, out, _ = piped(TRIPS.replace("epochs: 4", "epochs: 0"), "--no-files", "--json")
    (mistake,) = json.loads(out)["mistakes"]
    assert (code, mistake["file"], mistake["line"], mistake["key"]) == (2, "<stdin>", 18, "training.epochs")


def test_shells_complete_the_command(monkeypatch, capsys) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # tests may run without any shell
    code, out, _ = ended(monkeypatch, capsys, "--show-completion", "bash")
    assert code == 0 and "COMPREPLY" in out
