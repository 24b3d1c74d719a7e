"""Images with boxes around the things in them."""

from pathlib import Path

from pipeline.convert.annotations import Annotated, read_coco, read_voc
from pipeline.convert.collection import Bad, Collection, Made, Row
from pipeline.convert.folders import encoded, inside, printable
from pipeline.convert.from_images import IMAGE
from pipeline.convert.kinds import Kind
from pipeline.convert.labels import FILE
from pipeline.convert.picture import opened, orientation, picture
from preprocessing.errors import UserError

BOXES, BOX_LABELS = "boxes", "box_labels"

_NAMED = 5
_TURNING = range(5, 9)
"""The orientations of EXIF that turn an image on its side."""


def in_annotations(annotations: Path, images: Path) -> Collection[Annotated]:
    """Annotated images, in the order of the annotations.

    Args:
        annotations: A folder of Pascal VOC's XML files, or a JSON file of COCO's.
        images: The folder of the images.

    Raises:
        UserError: where these cannot be read.
    """
    if not annotations.exists():
        raise UserError(f"{annotations}: there is no such file or folder")
    read = read_voc(annotations, images) if annotations.is_dir() else read_coco(annotations, images)

    def make(each: Annotated) -> Made:
        file = inside(each.file)
        data = (images / file).read_bytes()
        taken = picture(data, upright=_is_upright(data, each.size))
        height, width = taken.height, taken.width
        if each.size not in (None, (width, height)):
            raise Bad(f"{file} has {width}x{height} pixels, where {'x'.join(map(str, each.size or ()))} are annotated")
        faults = [
            f"box {number} ({box.label}) {fault}"
            for number, box in enumerate(each.boxes, start=1)
            if (fault := box.fault(height, width))
        ]
        if faults:
            more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
            raise Bad("; ".join(faults[:_NAMED]) + more)
        row: Row = {
            IMAGE: [taken.encoded],
            BOXES: [share for box in each.boxes for share in box.shares(height, width)],
            BOX_LABELS: [encoded(box.label) for box in each.boxes],
            FILE: [encoded(file)],
            "height": [height],
            "width": [width],
        }
        return Made(row, tuple(f"images {change}" for change in taken.changes))

    return Collection(
        items=read.images,
        count=len(read.images),
        place=lambda each: printable(each.place),
        make=make,
        columns={
            IMAGE: Kind.BYTES,
            BOXES: Kind.FLOAT,
            BOX_LABELS: Kind.BYTES,
            FILE: Kind.BYTES,
            "height": Kind.INTEGER,
            "width": Kind.INTEGER,
        },
        label=BOX_LABELS,
        bad=read.bad,
        notes=read.notes,
    )


def _is_upright(data: bytes, size: tuple[int, int] | None) -> bool:
    """Whether boxes count in the image as its EXIF turns it, and not in its pixels as they lie, by the size that was
    annotated.

    Raises:
        Bad: where that does not tell.
    """
    image = opened(data)
    turned = orientation(image)
    if turned in (0, 1):
        return True
    if size is None or turned not in _TURNING or image.width == image.height:
        raise Bad("its EXIF turns the image, and whether the boxes are turned, too, is not said; store it upright")
    return size != image.size
