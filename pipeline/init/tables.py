"""Converts tables to TFRecords before they are profiled."""

from __future__ import annotations

import glob
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.init.label import label_name
from hubline.pipeline.init.objects import BOX_LABELS

_PACKED = (".gz", ".bz2", ".zst")
_DELIMITERS = {".csv": None, ".tsv": "\t"}


@dataclass(frozen=True)
class Converted:
    """TFRecords made of other files."""

    folder: Path
    dates: frozenset[str] = frozenset()
    """Columns that hold dates, as seconds since 1970."""


def tables_in(examples: str) -> list[Path]:
    """The CSV, TSV or Parquet files that a path, a folder or a glob names; none if it names anything else."""
    if is_remote(examples):
        return []
    path = Path(examples).expanduser()
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if not each.name.startswith((".", "_")))
    else:
        found = [path] if path.is_file() else sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207 (absolute patterns)
    kinds = {_kind(each) for each in found}
    return found if len(kinds) == 1 and kinds <= {".csv", ".tsv", ".parquet"} else []


def refuse_avro(examples: str) -> None:
    """Raises a UserError, with the command that writes Parquet, for an Avro file."""
    path = Path(examples).expanduser()
    if is_remote(examples) or _kind(path) != ".avro" or not path.is_file():
        return
    parquet = str(path.with_suffix(".parquet"))
    read = f"pandas.DataFrame(fastavro.reader(open({str(path)!r}, 'rb'))).to_parquet({parquet!r})"
    command = shlex.join([sys.executable, "-c", f"import fastavro, pandas; {read}"])
    raise UserError(
        f"{examples}: an Avro file; write it as Parquet first, by: {command}\nthen: hubline init {shlex.quote(parquet)}"
    )


@contextmanager
def converted_tables(
    paths: Sequence[Path], beside: Path, label: str | None, overwrite: bool, console: Console
) -> Iterator[Converted]:
    """Converts tables as `hubline convert` does without options. If the block fails, the TFRecords are removed, so that
    the same command can be tried again with other options.

    Args:
        paths: Files of one kind.
        beside: Folder in which the folder of TFRecords is made.
        label: Label column; None to find it by name. A table without it isn't converted.
        overwrite: Whether to replace the TFRecords of an earlier conversion, which the new ones then stay in place of.
        console: Shows how the columns were read.

    Raises:
        UserError: if there is no such label, or the tables need options; names the command that takes them.
    """
    from hubline.pipeline.convert.convert import Options, convert
    from hubline.pipeline.convert.from_csv import CsvFile, Dialect
    from hubline.pipeline.convert.from_parquet import ParquetFile

    kind = _kind(paths[0])
    folder = beside / f"{paths[0].name.partition('.')[0]}-tfrecords"
    command = "parquet" if kind == ".parquet" else "csv"
    shown = shlex.join(["hubline", "convert", command, *map(str, paths), "--output", str(folder)])
    options = Options(output=folder, overwrite=overwrite)
    dialect = Dialect(_DELIMITERS.get(kind) or ",", check_delimiter=_DELIMITERS.get(kind) is None)
    then = f"options are those of: {shown}\nthen: hubline init {shlex.quote(str(folder))}"
    with followed_by(then):
        sources = [ParquetFile(str(p), {}) if kind == ".parquet" else CsvFile(str(p), dialect) for p in paths]
    if label is not None or BOX_LABELS not in sources[0].names:
        label_name(sources[0].names, label)
    with followed_by(then):
        done = convert(sources, options, console)
    console.print(f"Converted by: {shown}", soft_wrap=True, highlight=False)
    dates = frozenset(each.name for each in done.columns if each.read_as is CellType.TIMESTAMP)
    with removed_on_failure(folder, overwrite):
        yield Converted(folder, dates)


@contextmanager
def removed_on_failure(folder: Path, overwrite: bool) -> Iterator[None]:
    """Removes the folder of a conversion if the block fails, unless it may have replaced an earlier one."""
    try:
        yield
    except BaseException:
        if not overwrite:
            shutil.rmtree(folder)
        raise


@contextmanager
def followed_by(more: str) -> Iterator[None]:
    """Adds lines to the message of a UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}\n{more}") from error


def _kind(path: Path) -> str:
    """Extension of a file, without that of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in _PACKED), "")
