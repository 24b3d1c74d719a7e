"""What the commands that convert data have in common: where the records go, and how the outcome is shown."""

import inspect
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from hubline.pipeline.common_options import Json
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.convert.convert import Conversion

Output = Annotated[Path, typer.Option(help="Folder for the TFRecords.", show_default=False)]
Shards = Annotated[int | None, typer.Option(min=1, help="Number of files to write; by default one per 100 MB.")]
Gzip = Annotated[bool, typer.Option("--gzip", help="Compress the files.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of an earlier conversion.")]


def conversion(app: typer.Typer, name: str) -> Callable[[Callable[..., "Conversion"]], None]:
    """Turns a conversion into a command with the common options, which it receives as `to` and `console`, and prints
    the outcome."""

    def add(convert: Callable[..., "Conversion"]) -> None:
        def command(
            output: Output,
            shards: Shards = None,
            gzip: Gzip = False,
            overwrite: Overwrite = False,
            as_json: Json = False,
            **own: Any,
        ) -> None:
            from hubline.pipeline.convert.output import Destination
            from hubline.pipeline.output import NOWHERE, into_log

            with into_log(NOWHERE) as (stdout, stderr):
                shown = stderr if as_json else stdout
                console = console_on(shown)
                done = convert(to=Destination(output, shards, gzip, overwrite), console=console, **own)
                _show_end(console, done)
            if as_json:
                print(done.model_dump_json())

        # Typer reads the options from here.
        own, common = (list(inspect.signature(each).parameters.values()) for each in (convert, command))
        parameters = [each for each in own if each.name not in ("to", "console")] + common[:-1]
        signature = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in parameters])
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, help=inspect.getdoc(convert))(command)

    return add


def _show_end(console: Console, done: "Conversion") -> None:
    from hubline.pipeline.convert.table import say

    files = f"{len(done.shards)} file{'s' if len(done.shards) > 1 else ''}"
    say(console, [f"{done.rows:,} examples in {files} in {done.output}, {done.seconds:.1f} s"])
    say(console, [f"Next: hubline init {shlex.quote(done.output)}"])
