"""The command `hubline convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.convert.conversion_command import conversion
from hubline.pipeline.convert.option_values import size_of
from hubline.pipeline.convert.table_commands import from_csv, from_parquet

if TYPE_CHECKING:
    from hubline.pipeline.convert.convert import Conversion
    from hubline.pipeline.convert.output import Destination

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")


@app.callback()
def about() -> None:
    """Convert tables, images, texts, sounds, videos or annotated boxes to TFRecords of tf.Examples.

    Example: hubline convert csv trips.csv --output data
    """


OnBad = Annotated[
    Literal["fail", "skip"],
    typer.Option("--bad", help="Whether bad files stop the conversion or are skipped; both list all of them."),
]


conversion(app, "csv")(from_csv)
conversion(app, "parquet")(from_parquet)


@conversion(app, "images")
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


@conversion(app, "text")
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


@conversion(app, "audio")
def from_audio(
    to: "Destination",
    console: Console,
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with one subfolder of WAV files per class.", show_default=False),
    ],
    on_bad: OnBad = "fail",
) -> "Conversion":
    """Convert WAV files with 16 bits a sample to the columns audio, label and file.

    Example: hubline convert audio tones --output data
    """
    from hubline.pipeline.convert.collect import collect
    from hubline.pipeline.convert.from_sounds import in_folders

    return collect(in_folders(folder), to, on_bad, console)


@conversion(app, "video")
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

    frames = Frames(frames_per_second, max_frames, size_of(size), quality)
    return collect(in_folders(folder, frames, sequence_examples), to, on_bad, console)


@conversion(app, "boxes")
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
