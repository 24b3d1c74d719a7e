"""Terminal output of a conversion."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column as TableColumn
from rich.table import Table
from rich.text import Text

from hubline.pipeline.convert.columns import Column
from hubline.pipeline.convert.kinds import CellType

_READ_AS = {
    CellType.BOOLEAN: "1 and 0",
    CellType.TIMESTAMP: "seconds since 1970",
    CellType.CURRENCY: "currency",
    CellType.PERCENT: "12% is 0.12",
}
_EXAMPLE = 40
"""Length of an example, so that the table fits into 80 columns."""
_CLASSES = 20
"""Maximum number of classes shown."""


def show_columns(console: Console, columns: Sequence[Column], rows: int) -> None:
    """Prints one row per column, and the notes below."""
    has_misfits = any(column.misfits for column in columns)
    table = Table(
        "column",
        "type",
        TableColumn("missing", justify="right"),
        *([TableColumn("don't fit", justify="right")] if has_misfits else []),
        TableColumn("example", no_wrap=True, overflow="ellipsis", max_width=_EXAMPLE),
        box=None,
        pad_edge=False,
    )
    for column in columns:
        counts = [f"{column.missing:,}" if column.missing else ""]
        counts += [f"{column.misfits:,}" if column.misfits else ""] if has_misfits else []
        example = " ".join((column.example or "").split())
        table.add_row(Text(column.name), Text(_kind(column)), *counts, Text(example))
    console.print(f"{rows:,} rows")
    console.print(table)
    for column in columns:
        say(console, [f"{column.name}: {note}" for note in column.notes], "yellow")


def _kind(column: Column) -> str:
    """Type of a column, and how its cells were read."""
    ways = [_READ_AS.get(column.read_as), "decimal comma" if column.decimal == "," else None]
    ways += [column.date if column.date != "YMD" else None]
    way = ", ".join(way for way in ways if way)
    return f"{column.type}{f' ({way})' if way else ''}{', several' if column.multiple else ''}"


def show_classes(console: Console, label: str, counts: Mapping[str, int]) -> None:
    """Prints the number of examples per class, most frequent first."""
    total = sum(counts.values())
    table = Table(
        label,
        TableColumn("count", justify="right"),
        TableColumn("share", justify="right"),
        box=None,
        pad_edge=False,
    )
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    for name, count in ranked[:_CLASSES]:
        table.add_row(Text(name), f"{count:,}", f"{count / total:.1%}")
    console.print(table)
    if len(ranked) > _CLASSES:
        say(console, [f"… and {len(ranked) - _CLASSES:,} more classes"])


def say(console: Console, lines: Sequence[str], style: str | None = None) -> None:
    """Prints lines without wrapping."""
    for line in lines:
        console.print(line, style=style, soft_wrap=True)


def progress_of(console: Console, unit: str) -> Progress:
    """A progress bar, on a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,}} {unit}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
