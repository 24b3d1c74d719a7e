"""Options and arguments that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="Pipeline file (YAML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Root = Annotated[Path | None, typer.Option(help="Same as for hubline run.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Name of a run or its beginning; last, last-1, … count back.")
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Run this step, and all that depend on it, even if they are cached."),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="STEP", help="End after this step; run only what it needs.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value of the file by its dotted key. The value is YAML. Can be repeated.",
        show_default=False,
    ),
]
