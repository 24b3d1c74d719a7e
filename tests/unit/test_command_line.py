"""Options that all commands have."""

import platform
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from hubline.pipeline.cli import app

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
