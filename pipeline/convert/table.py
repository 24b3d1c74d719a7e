"""What a conversion shows."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column as TableColumn
from rich.table import Table
from rich.text import Text

from pipeline.convert.columns import Column
from pipeline.convert.kinds import Kind

_READ_AS = {Kind.BOOLEAN: " (1 and 0)", Kind.TIMESTAMP: " (seconds since 1970)"}


def show_columns(console: Console, columns: Sequence[Column], rows: int) -> None:
    """Prints a row for each column, and the notes below."""
    table = Table(
        "column",
        "type",
        TableColumn("missing", justify="right"),
        TableColumn("example", no_wrap=True, overflow="ellipsis"),
        box=None,
        pad_edge=False,
    )
    for column in columns:
        kind = f"{column.type}{_READ_AS.get(column.read_as, '')}{', several' if column.multiple else ''}"
        missing = f"{column.missing:,}" if column.missing else ""
        example = " ".join((column.example or "").split())
        table.add_row(Text(column.name), kind, missing, Text(example))
    console.print(f"{rows:,} rows", highlight=False)
    console.print(table)
    for column in columns:
        for note in column.notes:
            console.print(f"{column.name}: {note}", style="yellow", highlight=False, markup=False, soft_wrap=True)
