"""Converts tables to TFRecords before they are profiled."""

from __future__ import annotations

import glob
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.init.converted import Converted, followed_by, made_of, refuse_another_source
from hubline.pipeline.init.label import label_name
from hubline.pipeline.init.objects import BOX_LABELS

_PACKED = (".gz", ".bz2", ".zst")
_DELIMITERS = {".csv": None, ".tsv": "\t"}
TABLES = frozenset([".csv", ".tsv", ".parquet"])


def tables_in(examples: str) -> list[Path]:
    """The CSV, TSV or Parquet files that a path, a folder or a glob names; none if it names anything else. A folder
    with such an ending, as Spark writes one for each table, stands for its files."""
    if is_remote(examples):
        return []
    path = Path(examples).expanduser()
    there = [path] if path.is_file() else sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207 (absolute patterns)
    named = _visible(path) if path.is_dir() else there
    found = [file for each in named for file in (_visible(each) if is_table(each) and each.is_dir() else [each])]
    return found if len({_kind(each) for each in found}) == 1 and all(map(is_table, found)) else []


def is_table(path: Path) -> bool:
    """Whether a path ends as a table does, compressed or not."""
    return _kind(path) in TABLES


def table_ending(path: Path) -> str:
    """How the name of a table ends, such as `.csv.gz`; empty for anything else."""
    return path.name[len(_stem(path)) :] if is_table(path) else ""


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
    paths: Sequence[Path], examples: str, beside: Path, label: str | None, overwrite: bool, console: Console
) -> Iterator[Converted]:
    """Converts tables as `hubline convert` does without options. If the block fails, the TFRecords are removed, so that
    the same command can be tried again with other options.

    Args:
        paths: Files of one kind.
        examples: The path, folder or glob that names them.
        beside: Folder in which the folder of TFRecords is made.
        label: Label column; None to find it by name. A table without it isn't converted.
        overwrite: Whether to replace the TFRecords of an earlier conversion, which the new ones then stay in place of.
        console: Shows how the columns were read.

    Raises:
        UserError: if there is no such label, the folder was made of other data, or the tables need options; names the
            command that takes them.
    """
    from hubline.pipeline.convert.convert import Options, convert
    from hubline.pipeline.convert.from_csv import CsvFile, Dialect
    from hubline.pipeline.convert.from_parquet import ParquetFile

    kind = _kind(paths[0])
    given = Path(examples).expanduser()
    first = paths[0].parent if is_table(paths[0].parent) else paths[0]
    folder = beside / f"{_stem(given.resolve() if given.is_dir() else first)}-tfrecords"
    refuse_another_source(folder, examples)
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
    with made_of(Converted(folder, dates), examples, overwrite) as converted:
        yield converted


def _kind(path: Path) -> str:
    """Extension of a file, without that of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in _PACKED), "")


def _stem(path: Path) -> str:
    """Name of a table without its endings: `2024.01` of `2024.01.csv.gz`."""
    while path.suffix.lower() in TABLES.union(_PACKED):
        path = path.with_suffix("")
    return path.name


def _visible(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if not each.name.startswith((".", "_")))
