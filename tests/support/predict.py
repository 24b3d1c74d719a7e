"""The command `hubline predict` in this process."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from hubline.core.errors import UserError
from hubline.pipeline.cli import app


def predict(*arguments: object, code: int = 0, text: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit | UserError):
        raise result.exception
    assert (2 if isinstance(result.exception, UserError) else result.exit_code) == code, result.output
    return result


def read(output: Path) -> list[dict[str, Any]]:
    """The predictions in a folder, in the order of file names."""
    files = sorted(output.glob("predictions-*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def rows(*arguments: object) -> list[dict[str, Any]]:
    said = predict(*arguments, "--json").stdout.splitlines()[-1]
    return json.loads(said)["predictions"]
