"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="Pipeline file (YAML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the file by its dotted key. The value is YAML. Can be repeated.",
        show_default=False,
    ),
]
