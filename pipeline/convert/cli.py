"""The command `hubline convert`."""

import codecs
import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline.convert.kinds import Kind
from preprocessing.errors import UserError

if TYPE_CHECKING:
    from pipeline.convert.convert import Options
    from pipeline.convert.source import Source

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def about() -> None:
    """Turn CSV or Parquet files into TFRecords of tf.Examples.

    Example: hubline convert csv trips.csv --output data
    """


Inputs = Annotated[list[Path], typer.Argument(help="The files, in the order of their rows.", show_default=False)]
Output = Annotated[Path, typer.Option(help="The folder for the TFRecords.", show_default=False)]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="The columns to take; all by default.")]
Drop = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Columns to leave out.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="NAME=TYPE",
        help=f"Read a column as {', '.join(kind.value for kind in Kind)}; once for each column.",
    ),
]
Shards = Annotated[int | None, typer.Option(min=1, help="How many files to write; by default, one for each 100 MB.")]
Gzip = Annotated[bool, typer.Option("--gzip", help="Compress the files.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of an earlier conversion.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


@app.command("csv")
def from_csv(
    inputs: Inputs,
    output: Output,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
    missing: Annotated[
        list[str] | None, typer.Option(metavar="NA,?", help="What stands for a missing cell, beside the empty one.")
    ] = None,
    delimiter: Annotated[str, typer.Option(help="What stands between cells; tab is understood.")] = ",",
    header: Annotated[
        bool, typer.Option(help="Whether the first row has the columns' names; else they are column_1, column_2, …")
    ] = True,
    encoding: Annotated[str, typer.Option(help="How the files are encoded.")] = "utf-8",
    shards: Shards = None,
    gzip: Gzip = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert CSV files. All of them are read once to settle what the columns are, and once to write them.

    Example: hubline convert csv trips-*.csv --output data --missing NA,? --drop id --type zip=bytes
    """
    from pipeline.convert.convert import Options
    from pipeline.convert.from_csv import CsvFile, Dialect

    dialect = Dialect(_delimiter(delimiter), header, _encoding(encoding))
    options = Options(
        output=output,
        columns=_split(columns),
        drop=_split(drop),
        types=_types(types),
        missing=frozenset({"", *(cell.strip() for cell in _split(missing))}),
        shards=shards,
        gzip=gzip,
        overwrite=overwrite,
    )
    _convert(inputs, lambda path: CsvFile(path, dialect), options, as_json)


@app.command("parquet")
def from_parquet(
    inputs: Inputs,
    output: Output,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
    shards: Shards = None,
    gzip: Gzip = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert Parquet files. Lists become several values of one column.

    Example: hubline convert parquet trips.parquet --output data --columns fare,tips --gzip
    """
    from pipeline.convert.convert import Options
    from pipeline.convert.from_parquet import ParquetFile

    options = Options(
        output=output,
        columns=_split(columns),
        drop=_split(drop),
        types=_types(types),
        shards=shards,
        gzip=gzip,
        overwrite=overwrite,
    )
    _convert(inputs, lambda path: ParquetFile(path, options.types), options, as_json)


def _convert(inputs: Sequence[Path], opened: "Callable[[str], Source]", options: "Options", as_json: bool) -> None:
    from pipeline.convert.convert import convert
    from pipeline.output import NOWHERE, into_log

    faults = [
        f"{path}: {'is a folder; name the files in it' if path.is_dir() else 'there is no such file'}"
        for path in inputs
        if not path.is_file()
    ]
    if faults:
        raise UserError("\n".join(faults))
    with into_log(NOWHERE) as (stdout, stderr):
        shown = stderr if as_json else stdout
        console = Console(file=shown, force_terminal=shown.isatty(), force_jupyter=False)
        done = convert([opened(str(path)) for path in inputs], options, console)
        console.print(
            f"{done.rows:,} examples in {len(done.shards)} files in {done.output}, {done.seconds:.1f} s",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    if as_json:
        print(done.model_dump_json())


def _split(values: Sequence[str] | None) -> list[str]:
    """Names in options such as `--drop a,b --drop '"c,d"'`, by the rules of CSV."""
    return [name for row in csv.reader(values or ()) for name in row]


def _types(values: Sequence[str] | None) -> Mapping[str, Kind]:
    types = {}
    for value in values or ():
        name, _, kind = value.rpartition("=")
        if not name or kind not in {known.value for known in Kind}:
            known = ", ".join(known.value for known in Kind)
            raise UserError(f"--type {value}: takes NAME=TYPE, where TYPE is one of {known}")
        types[name] = Kind(kind)
    return types


def _delimiter(value: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise UserError(f"--delimiter {value}: takes one character, such as , or ; or tab")
    return delimiter


def _encoding(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise UserError(f"--encoding {value}: there is no such encoding; such as utf-8, latin-1 or utf-16") from None
