"""The command `hubline convert`."""

import codecs
import csv
import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.convert.convert import Conversion, Options
    from hubline.pipeline.convert.output import Destination

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def about() -> None:
    """Convert tables, images, texts, videos or annotated boxes to TFRecords of tf.Examples.

    Example: hubline convert csv trips.csv --output data
    """


Inputs = Annotated[list[Path], typer.Argument(help="Files to convert, in this order.", show_default=False)]
Columns = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Columns to keep; by default all.")]
Drop = Annotated[list[str] | None, typer.Option(metavar="A,B", help="Columns to drop.")]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="NAME=TYPE",
        help=f"Read a column as {', '.join(kind.value for kind in CellType)}; repeatable.",
    ),
]
OnBad = Annotated[
    Literal["fail", "skip"],
    typer.Option("--bad", help="Whether bad files stop the conversion or are skipped; both list all of them."),
]
Output = Annotated[Path, typer.Option(help="Folder for the TFRecords.", show_default=False)]
Shards = Annotated[int | None, typer.Option(min=1, help="Number of files to write; by default one per 100 MB.")]
Gzip = Annotated[bool, typer.Option("--gzip", help="Compress the files.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of an earlier conversion.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]


def _command(name: str) -> Callable[[Callable[..., "Conversion"]], None]:
    """Turns a conversion into a command with the common options, which it receives as `to` and `console`, and prints
    the outcome."""

    def add(conversion: Callable[..., "Conversion"]) -> None:
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
                done = conversion(to=Destination(output, shards, gzip, overwrite), console=console, **own)
                _show_end(console, done)
            if as_json:
                print(done.model_dump_json())

        # Typer reads the options from here.
        own, common = (list(inspect.signature(each).parameters.values()) for each in (conversion, command))
        parameters = [each for each in own if each.name not in ("to", "console")] + common[:-1]
        signature = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for each in parameters])
        command.__signature__ = signature  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        app.command(name, help=inspect.getdoc(conversion))(command)

    return add


def _show_end(console: Console, done: "Conversion") -> None:
    from hubline.pipeline.convert.table import say

    files = f"{len(done.shards)} file{'s' if len(done.shards) > 1 else ''}"
    say(console, [f"{done.rows:,} examples in {files} in {done.output}, {done.seconds:.1f} s"])
    say(console, [f"Next: hubline init {shlex.quote(done.output)}"])


@_command("csv")
def from_csv(
    to: "Destination",
    console: Console,
    inputs: Inputs,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
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

    Example: hubline convert csv trips-*.csv --output data --missing NA,? --drop id --type zip=bytes
    """
    from hubline.pipeline.convert.convert import convert
    from hubline.pipeline.convert.from_csv import CsvFile, Dialect

    dialect = Dialect(_delimiter(delimiter or ","), header, _encoding(encoding), check_delimiter=delimiter is None)
    missing = ["", *(cell.strip() for cell in _split(missing))]
    options = _options(to, columns, drop, types, missing)
    _check_files(inputs)
    return convert([CsvFile(str(path), dialect) for path in inputs], options, console)


@_command("parquet")
def from_parquet(
    to: "Destination",
    console: Console,
    inputs: Inputs,
    columns: Columns = None,
    drop: Drop = None,
    types: Types = None,
) -> "Conversion":
    """Convert Parquet files. Lists become columns with several values.

    Example: hubline convert parquet trips.parquet --output data --columns fare,tips --gzip
    """
    from hubline.pipeline.convert.convert import convert
    from hubline.pipeline.convert.from_parquet import ParquetFile

    options = _options(to, columns, drop, types)
    _check_files(inputs)
    return convert([ParquetFile(str(path), options.types) for path in inputs], options, console)


@_command("images")
def from_images(
    to: "Destination",
    console: Console,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with one subfolder of images per class; with --labels, a folder of images.", show_default=False
        ),
    ],
    labels: Annotated[
        Path | None, typer.Option(help="CSV or TSV file with one row per image; additional columns are kept.")
    ] = None,
    file_column: Annotated[
        str, typer.Option(help="With --labels: column of image paths, relative to FOLDER.")
    ] = "file",
    label_column: Annotated[str, typer.Option(help="With --labels: column of labels.")] = "label",
    separator: Annotated[
        str | None, typer.Option(metavar="'|'", help="With --labels: separator of several labels in a cell.")
    ] = None,
    max_side: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum length of the longer side in pixels; larger images are downscaled."),
    ] = None,
    on_bad: OnBad = "fail",
) -> "Conversion":
    """Convert images to the columns image, label and file.

    JPEG, PNG, GIF and BMP are stored unchanged; models apply their EXIF orientation. Other formats that Pillow reads,
    such as WebP and TIFF, are stored as PNG.

    Example: hubline convert images photos --output data

    Example: hubline convert images photos --labels photos.csv --separator '|' --output data
    """
    from hubline.pipeline.convert import from_images as source
    from hubline.pipeline.convert.collect import collect
    from hubline.pipeline.convert.labels import read_labels

    if labels:
        table = read_labels(labels, file_column, label_column, separator)
        return collect(source.with_labels(folder, table, bool(separator), max_side), to, on_bad, console)
    if separator or (file_column, label_column) != ("file", "label"):
        raise UserError("--separator, --file-column and --label-column require --labels")
    return collect(source.in_folders(folder, max_side), to, on_bad, console)


@_command("text")
def from_text(
    to: "Destination",
    console: Console,
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder with one subfolder of text files per class, or a file with one text per line.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path | None, typer.Option(help="For a file with one text per line: the file with the label of each line.")
    ] = None,
    on_bad: OnBad = "fail",
) -> "Conversion":
    """Convert UTF-8 texts to the columns text, label and file.

    For texts in a CSV or TSV file, use hubline convert csv.

    Example: hubline convert text reviews --output data

    Example: hubline convert text reviews.txt --labels stars.txt --output data
    """
    from hubline.pipeline.convert.collect import collect
    from hubline.pipeline.convert.from_text import in_folders, in_lines

    if source.is_dir() and labels:
        raise UserError(
            f"--labels {labels}: requires a file with one text per line; {source} is a folder, whose subfolders are "
            "the labels"
        )
    return collect(in_folders(source) if source.is_dir() else in_lines(source, labels), to, on_bad, console)


@_command("video")
def from_video(
    to: "Destination",
    console: Console,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with one subfolder of clips per class. A clip is a folder of frames, an animation or a "
            "video file.",
            show_default=False,
        ),
    ],
    frames_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="Frames to keep per second; by default all.")
    ] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Maximum number of frames per clip.")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="HEIGHTxWIDTH", help="Size of all frames in pixels; by default unchanged.")
    ] = None,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Quality of encoded JPEGs.")] = 90,
    sequence_examples: Annotated[
        bool, typer.Option("--sequence-examples", help="Write tf.SequenceExamples with one step per frame.")
    ] = False,
    on_bad: OnBad = "fail",
) -> "Conversion":
    """Convert video clips to the columns frames (a list of encoded images), label, file and fps.

    Video files such as MP4 and AVI require PyAV; folders of frames, GIF and WebP don't.

    Example: hubline convert video clips --output data --frames-per-second 5 --max-frames 50 --size 112x112
    """
    from hubline.pipeline.convert.collect import collect
    from hubline.pipeline.convert.from_video import Frames, in_folders

    frames = Frames(frames_per_second, max_frames, _size(size), quality)
    return collect(in_folders(folder, frames, sequence_examples), to, on_bad, console)


@_command("boxes")
def from_boxes(
    to: "Destination",
    console: Console,
    annotations: Annotated[
        Path, typer.Argument(help="Folder of Pascal VOC XML files, or a COCO JSON file.", show_default=False)
    ],
    images: Annotated[Path, typer.Option(help="Folder of the images.", show_default=False)],
    on_bad: OnBad = "fail",
) -> "Conversion":
    """Convert annotated images to the columns image, boxes, box_labels, file, height and width.

    A box is four floats: y_min, x_min, y_max and x_max as fractions of height and width.

    Example: hubline convert boxes VOC/Annotations --images VOC/JPEGImages --output data
    """
    from hubline.pipeline.convert.collect import collect
    from hubline.pipeline.convert.from_boxes import in_annotations

    return collect(in_annotations(annotations, images), to, on_bad, console)


def _options(
    to: "Destination",
    columns: Sequence[str] | None,
    drop: Sequence[str] | None,
    types: Sequence[str] | None,
    missing: Sequence[str] = ("",),
) -> "Options":
    from hubline.pipeline.convert.convert import Options

    return Options(
        **vars(to), columns=_split(columns), drop=_split(drop), types=_types(types), missing=frozenset(missing)
    )


def _check_files(inputs: Sequence[Path]) -> None:
    faults = [
        f"{path}: {'is a folder; pass the files in it' if path.is_dir() else 'there is no such file'}"
        for path in inputs
        if not path.is_file()
    ]
    if faults:
        raise UserError("\n".join(faults))


def _split(values: Sequence[str] | None) -> list[str]:
    """Names in options such as `--drop a,b --drop '"c,d"'`, split by the rules of CSV."""
    return [name for row in csv.reader(values or ()) for name in row]


def _types(values: Sequence[str] | None) -> Mapping[str, CellType]:
    types = {}
    for value in values or ():
        name, _, kind = value.rpartition("=")
        if not name or kind not in {known.value for known in CellType}:
            known = ", ".join(known.value for known in CellType)
            raise UserError(f"--type {value}: must be NAME=TYPE, where TYPE is one of {known}")
        types[name] = CellType(kind)
    return types


def _delimiter(value: str) -> str:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise UserError(f"--delimiter {value}: must be a single character, such as , or ; or the word tab")
    return delimiter


def _encoding(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise UserError(f"--encoding {value}: unknown encoding; use for example utf-8, latin-1 or utf-16") from None


def _size(value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", value)
    if not match:
        raise UserError(f"--size {value}: must be HEIGHTxWIDTH in pixels, such as 112x112")
    return int(match[1]), int(match[2])
