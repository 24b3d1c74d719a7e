"""Converts tables: determines the columns' types, shows them and writes the rows."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import Progress

from hubline.core.config_base import Section
from hubline.core.errors import UserError, tensorflow_reason
from hubline.pipeline.convert import cells
from hubline.pipeline.convert.cells import CellError, Cells
from hubline.pipeline.convert.columns import Column, Tally
from hubline.pipeline.convert.kinds import NUMBERS, CellType, Decimal, Reading
from hubline.pipeline.convert.output import Destination, check_free, replacing
from hubline.pipeline.convert.source import Batch, Source
from hubline.pipeline.convert.table import progress_of, show_columns
from hubline.pipeline.diagnostics import nearest


@dataclass(frozen=True)
class Options(Destination):
    """Options of a conversion."""

    columns: Sequence[str] = ()
    """Columns to convert; empty for all."""
    drop: Sequence[str] = ()
    """Columns to leave out."""
    types: Mapping[str, CellType] = field(default_factory=dict)
    """Declared types of columns."""
    decimals: Mapping[str, Decimal] = field(default_factory=dict)
    """Decimal separators of columns."""
    dates: Mapping[str, str] = field(default_factory=dict)
    """Notations of dates by column, as in `Reading`."""
    misfits: float = 0
    """Largest fraction of a column's cells that may not fit its type; they become missing."""
    missing: Set[str] = frozenset({""})
    """Texts that mark a missing cell."""


class Conversion(Section):
    """Result of a conversion."""

    status: Literal["succeeded"] = "succeeded"
    output: str
    """The output folder."""
    shards: tuple[str, ...]
    """Names of the files in it."""
    rows: int
    columns: tuple[Column, ...]
    seconds: float


def convert(sources: Sequence[Source], options: Options, console: Console) -> Conversion:
    """Converts files and shows the progress.

    Args:
        sources: Files, whose rows are written in order.
        options: Options of the conversion.
        console: Shows the columns before any row is written, and progress on a terminal.

    Raises:
        UserError: if the files or options don't allow a conversion; nothing is written then.
    """
    began = time.monotonic()
    output = options.output.resolve()
    check_free(output, options.overwrite)
    names = _chosen(sources, options)
    declared = _declared(sources, names, options)
    stamps = _stamps(sources)
    with progress_of(console, "rows") as progress:
        columns, rows = _survey(sources, names, declared, options, progress)
        show_columns(console, columns, rows)
        if options.shards and options.shards > rows:
            raise UserError(f"--shards {options.shards}: there are only {rows:,} rows, and shards cannot be empty")
        with replacing(output) as folder:
            shards = _write(sources, columns, rows, options, folder, progress)
            if _stamps(sources) != stamps:
                raise UserError("the files changed during the conversion; convert them again")
    seconds = round(time.monotonic() - began, 3)
    return Conversion(output=str(output), shards=tuple(shards), rows=rows, columns=tuple(columns), seconds=seconds)


def _chosen(sources: Sequence[Source], options: Options) -> list[str]:
    """Columns to convert, in the order of the first file."""
    first, *others = sources
    faults = []
    for other in others:
        lacking = [name for name in first.names if name not in other.names]
        faults += [f"{other.path}: lacks column {name!r} of {first.path}" for name in lacking]
        more = [name for name in other.names if name not in first.names]
        faults += [f"{other.path}: has a column {name!r}, which {first.path} lacks" for name in more]
    named = {"--columns": options.columns, "--drop": options.drop, "--type": options.types}
    named |= {"--decimal": options.decimals, "--date-format": options.dates}
    for option, names in named.items():
        unknown = [name for name in names if name not in first.names]
        faults += [f"{option} {name}: there is no such column; {nearest(name, first.names)}" for name in unknown]
    if faults:
        raise UserError("\n".join(faults))
    taken = options.columns or first.names
    chosen = [name for name in first.names if name in taken and name not in options.drop]
    if not chosen:
        raise UserError("there are no columns left to convert")
    return chosen


def _declared(sources: Sequence[Source], names: Sequence[str], options: Options) -> dict[str, Reading]:
    """Readings of columns that are declared by the user or by the files."""
    declared: dict[str, CellType] = {}
    faults = []
    for name in names:
        kinds = {source.declared[name]: source.path for source in sources if name in source.declared}
        if name in options.types:
            declared[name] = options.types[name]
        elif name in options.dates:
            declared[name] = CellType.TIMESTAMP
        elif kinds.keys() == set(NUMBERS):
            declared[name] = CellType.FLOAT
        elif len(kinds) > 1:
            found = " and ".join(f"{kind.value} in {path}" for kind, path in kinds.items())
            faults.append(f"column {name!r} is {found}; --type {name}=bytes, or another type, reads them alike")
        elif kinds:
            declared[name] = next(iter(kinds))
    if faults:
        raise UserError("\n".join(faults))
    return {
        name: Reading(kind, options.decimals.get(name, "."), options.dates.get(name, "YMD"))
        for name, kind in declared.items()
    }


def _survey(
    sources: Sequence[Source],
    names: Sequence[str],
    declared: Mapping[str, Reading],
    options: Options,
    progress: Progress,
) -> tuple[list[Column], int]:
    """Reads all rows to determine the columns' types; also returns the number of rows."""
    tallies = {name: Tally() for name in names}
    known = [source.rows for source in sources]
    task = progress.add_task("reading", total=None if None in known else sum(rows or 0 for rows in known))
    rows = 0
    for source, first, batch in _batches(sources, names):
        known_types = {name: array for name, array in batch.items() if name in declared}
        for name, read in _read(source, first, known_types, declared, options).items():
            tallies[name].add_cells(read, declared[name].kind)
        for name in batch.keys() - known_types.keys():
            tallies[name].add_texts(batch[name], options.missing)
        rows += _length(batch)
        progress.update(task, completed=rows)
    if not rows:
        raise UserError("\n".join(f"{source.path}: contains no rows" for source in sources))
    progress.remove_task(task)
    return _settled(tallies, declared, options), rows


def _settled(tallies: Mapping[str, Tally], declared: Mapping[str, Reading], options: Options) -> list[Column]:
    """The columns; all that cannot be decided are reported at once."""
    columns, faults = [], []
    for name, tally in tallies.items():
        try:
            columns.append(tally.settle(name, declared.get(name), options.decimals.get(name), options.misfits))
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise UserError("\n".join(faults))
    return columns


def _write(
    sources: Sequence[Source], columns: Sequence[Column], rows: int, options: Options, folder: Path, progress: Progress
) -> list[str]:
    """Writes all rows and returns the names of the shards."""
    task = progress.add_task("starting TensorFlow", total=rows)
    # Imported here because it takes seconds, and errors are found without it.
    import tensorflow as tf

    from hubline.pipeline.convert.encode import encode
    from hubline.pipeline.convert.shards import write_shards

    readings = {column.name: column.reading for column in columns}

    def examples() -> Iterator[tf.Tensor]:
        progress.update(task, description="writing")
        for source, first, batch in _batches(sources, list(readings)):
            yield encode(_read(source, first, batch, readings, options))
            progress.advance(task, _length(batch))

    try:
        return write_shards(examples(), folder, rows, options.shards, options.gzip)
    except tf.errors.OpError as error:
        raise UserError(f"{options.output}: cannot be written: {tensorflow_reason(error)}") from error


def _batches(sources: Sequence[Source], names: Sequence[str]) -> Iterator[tuple[Source, int, Batch]]:
    """Batches of all files, each with its file and the index of its first row."""
    for source in sources:
        first = 0
        for batch in source.batches(names):
            yield source, first, batch
            first += _length(batch)


def _length(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _read(
    source: Source, first: int, batch: Batch, readings: Mapping[str, Reading], options: Options
) -> dict[str, Cells]:
    """Reads the cells of a batch; all columns with a misfit are reported at once."""
    columns, faults = {}, []
    for name, array in batch.items():
        try:
            columns[name] = cells.read(array, readings[name], options.missing, strict=not options.misfits)
        except CellError as misfit:
            faults.append(f"{source.place(first + misfit.row)}: column {name!r}: {misfit}")
    if faults:
        raise UserError("\n".join(faults))
    return columns


def _stamps(sources: Sequence[Source]) -> list[tuple[int, int]]:
    """Sizes and modification times, to detect changes."""
    stats = [Path(source.path).stat() for source in sources]
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]
