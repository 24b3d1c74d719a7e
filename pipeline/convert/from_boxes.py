"""Converts images with bounding boxes."""

from pathlib import Path

from hubline.core.errors import UserError
from hubline.pipeline.convert.annotations import AnnotatedImage, read_coco, read_voc
from hubline.pipeline.convert.collection import Bad, Collection, ConvertedExample, Row
from hubline.pipeline.convert.folders import encoded, inside, printable
from hubline.pipeline.convert.from_images import IMAGE
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.labels import FILE
from hubline.pipeline.convert.picture import picture
from hubline.preprocessing.image_files import orientation

BOXES, BOX_LABELS = "boxes", "box_labels"

_NAMED = 5
_TURNING = range(5, 9)
"""EXIF orientations that swap height and width."""


def in_annotations(annotations: Path, images: Path) -> Collection[AnnotatedImage]:
    """Annotated images, in the order of the annotations.

    Args:
        annotations: A folder of Pascal VOC XML files, or a COCO JSON file.
        images: The folder of the images.

    Raises:
        UserError: if they cannot be read.
    """
    if not annotations.exists():
        raise UserError(f"{annotations}: there is no such file or folder")
    read = read_voc(annotations, images) if annotations.is_dir() else read_coco(annotations, images)

    def make(each: AnnotatedImage) -> ConvertedExample:
        file = inside(each.file)
        data = (images / file).read_bytes()
        taken = picture(data)
        height, width = taken.height, taken.width
        turn = orientation(data)
        lies = turn != 1 and not _is_of_upright(each.size, turn, height, width)
        if each.size not in (None, (height, width) if lies else (width, height)):
            raise Bad(
                f"{file} has {width}x{height} pixels, but {'x'.join(map(str, each.size or ()))} according to the "
                "annotation"
            )
        boxes = [box.turned(turn, height, width) if lies else box for box in each.boxes]
        faults = [
            f"box {number} ({box.label}) {fault}"
            for number, box in enumerate(boxes, start=1)
            if (fault := box.fault(height, width))
        ]
        if faults:
            more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
            raise Bad("; ".join(faults[:_NAMED]) + more)
        row: Row = {
            IMAGE: [taken.encoded],
            BOXES: [share for box in boxes for share in box.shares(height, width)],
            BOX_LABELS: [encoded(box.label) for box in boxes],
            FILE: [encoded(file)],
            "height": [height],
            "width": [width],
        }
        return ConvertedExample(row, tuple(f"images {change}" for change in taken.changes))

    return Collection(
        items=read.images,
        count=len(read.images),
        place=lambda each: printable(each.place),
        make=make,
        columns={
            IMAGE: CellType.BYTES,
            BOXES: CellType.FLOAT,
            BOX_LABELS: CellType.BYTES,
            FILE: CellType.BYTES,
            "height": CellType.INTEGER,
            "width": CellType.INTEGER,
        },
        label=BOX_LABELS,
        bad=read.bad,
        notes=read.notes,
    )


def _is_of_upright(size: tuple[int, int] | None, turn: int, height: int, width: int) -> bool:
    """Whether boxes refer to the upright image rather than to the stored pixels, judged by the annotated size.

    Args:
        size: Annotated width and height.
        turn: EXIF orientation, 2 or more.
        height: Height of the upright image.
        width: Width of the upright image.

    Raises:
        Bad: if the size leaves it open.
    """
    if size is None or turn not in _TURNING or width == height:
        raise Bad(
            "its EXIF data rotates the image, and the annotation doesn't say whether the boxes are rotated; store the "
            "image upright"
        )
    return size != (height, width)
