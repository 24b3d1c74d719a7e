"""The commands `hubline convert csv` and `hubline convert parquet`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hubline.pipeline.convert.kinds import NAMES
from hubline.pipeline.convert.option_values import (
    check_files,
    dates_in,
    decimals_in,
    delimiter_of,
    encoding_of,
    names_in,
    types_in,
)

if TYPE_CHECKING:
    from hubline.pipeline.convert.convert import Conversion, Options
    from hubline.pipeline.convert.output import Destination

Inputs = Annotated[list[Path], typer.Argument(help="Files to convert, in this order.", show_default=False)]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Columns to keep; by default all.")]
Drop = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Columns to drop.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="NAME=TYPE",
        help=f"Read a column as {', '.join(NAMES)}; repeatable.",
    ),
]
Decimals = Annotated[
    list[str] | None,
    typer.Option("--decimal", metavar="NAME=,", help="Decimal separator of a column, . or a comma; repeatable."),
]
Dates = Annotated[
    list[str] | None,
    typer.Option(
        "--date-format",
        metavar="NAME=FORMAT",
        help="Order of a column's dates, DMY, MDY or YMD, or their format as for strptime; repeatable.",
    ),
]
Misfits = Annotated[
    float,
    typer.Option(
        min=0, max=1, help="Largest fraction of a column's cells that may not fit its type; they become missing."
    ),
]


def from_csv(
    to: "Destination",
    console: Console,
    inputs: Inputs,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
    decimals: Decimals = None,
    dates: Dates = None,
    misfits: Misfits = 0.0,
    missing: Annotated[
        list[str] | None,
        typer.Option(metavar="NA,?", help="Cell values that mean missing, in addition to empty cells."),
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Delimiter, such as ; or tab; by default a comma.")] = None,
    header: Annotated[
        bool, typer.Option(help="Whether the first row contains column names; otherwise they are column_1, column_2, …")
    ] = True,
    encoding: Annotated[str, typer.Option(help="Encoding of the files.")] = "utf-8",
) -> "Conversion":
    """Convert CSV files. They are read twice: to determine the column types, and to write the records.

    Example: hubline convert csv trips-*.csv --output data --drop id --type zip=text --date-format sold=DMY
    """
    from hubline.pipeline.convert.convert import convert
    from hubline.pipeline.convert.from_csv import CsvFile, Dialect

    dialect = Dialect(delimiter_of(delimiter or ","), header, encoding_of(encoding), check_delimiter=delimiter is None)
    missing = ["", *(cell.strip() for cell in names_in(missing))]
    options = _options(to, columns, drop, types, decimals, dates, misfits, missing)
    check_files(inputs)
    return convert([CsvFile(str(path), dialect) for path in inputs], options, console)


def from_parquet(
    to: "Destination",
    console: Console,
    inputs: Inputs,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
    decimals: Decimals = None,
    dates: Dates = None,
    misfits: Misfits = 0.0,
) -> "Conversion":
    """Convert Parquet files. Lists become columns with several values.

    Example: hubline convert parquet trips.parquet --output data --columns fare,tips --gzip
    """
    from hubline.pipeline.convert.convert import convert
    from hubline.pipeline.convert.from_parquet import ParquetFile

    options = _options(to, columns, drop, types, decimals, dates, misfits)
    check_files(inputs)
    return convert([ParquetFile(str(path), options.types) for path in inputs], options, console)


def _options(
    to: "Destination",
    columns: Sequence[str] | None,
    drop: Sequence[str] | None,
    types: Sequence[str] | None,
    decimals: Sequence[str] | None,
    dates: Sequence[str] | None,
    misfits: float,
    missing: Sequence[str] = ("",),
) -> "Options":
    from hubline.pipeline.convert.convert import Options

    return Options(
        **vars(to),
        columns=names_in(columns),
        drop=names_in(drop),
        types=types_in(types),
        decimals=decimals_in(decimals),
        dates=dates_in(dates),
        misfits=misfits,
        missing=frozenset(missing),
    )
