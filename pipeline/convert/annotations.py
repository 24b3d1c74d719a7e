"""Reads bounding boxes from Pascal VOC and COCO annotations."""

import codecs
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pydantic import BaseModel, ValidationError

from hubline.core.errors import UserError
from hubline.pipeline.convert.collection import Bad
from hubline.pipeline.convert.folders import check_folder, entries_of, inside, printable, unnamed

_ROUNDING = 0.5
"""Pixels by which a box may extend beyond its image, for rounded coordinates. The box is clipped."""
_NAMED = 5


@dataclass(frozen=True)
class Box:
    """A bounding box in pixels, and its class."""

    label: str
    y_min: float
    x_min: float
    y_max: float
    x_max: float

    def fault(self, height: int, width: int) -> str | None:
        """What is wrong with the box in an image of this size, or None."""
        where = f"y {self.y_min:g} to {self.y_max:g}, x {self.x_min:g} to {self.x_max:g}"
        if not all(map(math.isfinite, (self.y_min, self.x_min, self.y_max, self.x_max))):
            return f"is not finite: {where}"
        if self.y_min > self.y_max or self.x_min > self.x_max:
            return f"is upside down: {where}"
        if self.y_min == self.y_max or self.x_min == self.x_max:
            return f"has no area: {where}"
        if (
            min(self.y_min, self.x_min) < -_ROUNDING
            or self.y_max > height + _ROUNDING
            or self.x_max > width + _ROUNDING
        ):
            return f"is outside the image of {width}x{height}: {where}"
        return None

    def turned(self, turn: int, height: int, width: int) -> "Box":
        """Maps the box from the stored image to the upright one.

        Args:
            turn: EXIF orientation.
            height: Height of the upright image in pixels.
            width: Width of the upright image in pixels.
        """
        y, x = (self.y_min, self.y_max), (self.x_min, self.x_max)
        if turn >= 5:
            y, x = x, y
        if turn in (3, 4, 7, 8):
            y = (height - y[1], height - y[0])
        if turn in (2, 3, 6, 7):
            x = (width - x[1], width - x[0])
        return Box(self.label, y[0], x[0], y[1], x[1])

    def shares(self, height: int, width: int) -> list[float]:
        """y_min, x_min, y_max and x_max as fractions of height and width, clipped to [0, 1]."""
        shares = (self.y_min / height, self.x_min / width, self.y_max / height, self.x_max / width)
        return [min(max(share, 0.0), 1.0) for share in shares]


@dataclass(frozen=True)
class AnnotatedImage:
    """An image with its boxes."""

    place: str
    """Where the annotation is, for error messages."""
    file: str
    """Path of the image in the folder of images."""
    size: tuple[int, int] | None
    """Annotated width and height; None if absent."""
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Annotations:
    """All annotations."""

    images: Sequence[AnnotatedImage]
    bad: Sequence[str]
    """Annotations that cannot be used, with reasons."""
    notes: Sequence[str]


def read_voc(folder: Path, images: Path) -> Annotations:
    """Reads a folder of Pascal VOC XML files, one per image. The image is the one in `filename`, or else the one with
    the XML file's own name.

    Raises:
        UserError: if there is no such folder, or it contains no XML files.
    """
    check_folder(folder)
    check_folder(images)
    paths = [Path(entry.path) for entry in entries_of(folder) if _is_xml(entry.name)]
    if not paths:
        raise UserError(f"{folder}: contains no XML files; expected Pascal VOC files, or pass a COCO JSON file")
    by_stem = {Path(entry.name).stem: entry.name for entry in entries_of(images) if not _is_xml(entry.name)}
    found, bad = [], []
    for path in paths:
        try:
            found.append(_read_xml(path, images, by_stem))
        except Bad as fault:
            bad.append(f"{printable(path.name)}: {fault}")
    counts = Counter(each.file for each in found)
    bad += [f"{each.place}: another file also annotates {each.file}" for each in found if counts[each.file] > 1]
    notes = unnamed(images, counts, folder)
    return Annotations([each for each in found if counts[each.file] == 1], bad, list(notes))


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml")


class _Tree(ElementTree.TreeBuilder):
    """Rejects document types, which can define entities that expand to gigabytes or refer to other files."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise Bad("declares a document type; for safety, remove the declaration")


def _read_xml(path: Path, images: Path, by_stem: dict[str, str]) -> AnnotatedImage:
    try:
        root = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_Tree()))
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # LookupError and ValueError for its encoding
        raise Bad(f"is not XML: {error}") from error
    except OSError as error:
        raise Bad(f"cannot be read: {error.strerror}") from error
    if root.tag != "annotation":
        raise Bad(f"is not a Pascal VOC annotation: the root element is <{root.tag}>, not <annotation>")
    named = inside((root.findtext("filename") or "").strip())
    file = named if named and (images / named).is_file() else by_stem.get(path.stem)
    if file is None:
        raise Bad(f"there is no image {named!r} in {images}, nor one named {path.stem}")
    boxes = [_read_object(number, each) for number, each in enumerate(root.findall("object"), start=1)]
    return AnnotatedImage(printable(path.name), file, _read_size(root), boxes)


def _read_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Annotated width and height; some tools write 0 for unknown."""
    if root.find("size") is None:
        return None
    width, height = (int(_number(root, f"size/{side}", "the image")) for side in ("width", "height"))
    return (width, height) if width and height else None


def _read_object(number: int, each: ElementTree.Element) -> Box:
    label = (each.findtext("name") or "").strip()
    if not label:
        raise Bad(f"object {number} has no name")
    sides = (f"bndbox/{side}" for side in ("ymin", "xmin", "ymax", "xmax"))
    return Box(label, *(_number(each, side, f"object {number} ({label})") for side in sides))


def _number(element: ElementTree.Element, path: str, of: str) -> float:
    text = element.findtext(path)
    try:
        return float(text or "")
    except ValueError:
        name = path.rpartition("/")[2]
        raise Bad(
            f"{of} has no {name}" if text is None else f"{of}: {name} is {text!r}, which is not a number"
        ) from None


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None


class _Annotation(BaseModel):
    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float]
    """x and y of the upper left corner, width, height."""
    iscrowd: int = 0


class _Category(BaseModel):
    id: int
    name: str


class _Coco(BaseModel):
    """The parts of a COCO instances file that are read; the rest, such as outlines, is ignored."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(path: Path, images: Path) -> Annotations:
    """Reads a COCO instances file. Boxes around crowds are left out.

    Raises:
        UserError: if there is no such file, it is not JSON or lacks required keys, or two images share an id or a file.
    """
    check_folder(images)
    try:
        coco = _Coco.model_validate_json(path.read_bytes().removeprefix(codecs.BOM_UTF8))
    except ValidationError as error:
        raise UserError("\n".join(_faults(path, error))) from None
    if not coco.images:
        raise UserError(f"{path}: contains no images")
    twice = [f"id {key}" for key, count in Counter(each.id for each in coco.images).items() if count > 1]
    twice += [f"file {key}" for key, count in Counter(each.file_name for each in coco.images).items() if count > 1]
    if twice:
        raise UserError(f"{path}: more than one image has the {', the '.join(twice[:_NAMED])}")
    names = {each.id: each.name for each in coco.categories}
    boxes: defaultdict[int | str, list[Box]] = defaultdict(list)
    bad, known = [], {each.id for each in coco.images}
    wrong: set[int | str] = set()
    for number, image in enumerate(coco.images):
        try:
            inside(image.file_name)
        except Bad as fault:
            bad.append(f"{path.name}: images[{number}]: {fault}")
            wrong.add(image.id)
    crowds = 0
    for number, each in enumerate(coco.annotations):
        place = f"{path.name}: annotations[{number}]"
        if each.image_id not in known:
            bad.append(f"{place}: there is no image {each.image_id!r}")
        elif each.category_id not in names:
            bad.append(f"{place}: there is no category {each.category_id}; its image is not converted")
            wrong.add(each.image_id)
        elif each.iscrowd:
            crowds += 1
        else:
            x, y, width, height = each.bbox
            boxes[each.image_id].append(Box(names[each.category_id], y, x, y + height, x + width))
    found = [
        AnnotatedImage(
            each.file_name,
            each.file_name,
            (each.width, each.height) if each.width and each.height else None,
            boxes[each.id],
        )
        for each in coco.images
        if each.id not in wrong
    ]
    notes = [f"{crowds:,} crowd boxes (iscrowd) are left out"] if crowds else []
    return Annotations(found, bad, [*notes, *unnamed(images, [each.file_name for each in coco.images], path)])


def _faults(path: Path, error: ValidationError) -> Iterator[str]:
    """Problems of a JSON file, one line for each of the first."""
    for each in error.errors()[:_NAMED]:
        place = ".".join(map(str, each["loc"]))
        yield f"{path}: {place}: {each['msg']}" if place else f"{path}: {each['msg']}"
    if error.error_count() > _NAMED:
        yield f"{path}: {error.error_count() - _NAMED:,} more errors"
