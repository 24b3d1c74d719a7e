"""Converts images with boxes in Pascal VOC and COCO format to records."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from hubline.core.errors import UserError
from hubline.pipeline.convert import from_boxes
from tests.support import example_data
from tests.support.conversion import rows_of, types_of
from tests.support.files_to_convert import by_file, converted, pixels, tiles, turned, write

# Boxes


Boxes = dict[str, list[tuple[str, float, float, float, float]]]
"""The boxes in images: label, x_min, y_min, x_max, y_max."""
BOXES: Boxes = {
    "1.png": [("cat", 0, 0, 10, 20), ("dog", 3.5, 4, 40, 30)],
    "2.png": [("cat", 39, 29, 40, 30)],
    "3.png": [],
}


def boxed_images(folder: Path, boxes: Boxes = BOXES) -> Path:
    """Images of 30 by 40 pixels."""
    for number, file in enumerate(boxes):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(example_data.random_image(number, 30, 40))
    return folder


def voc_xml(file: str, boxes: Sequence[tuple[str, float, float, float, float]], size: str | None = "40 30") -> str:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    if size:
        sides = ElementTree.SubElement(root, "size")
        for side, value in zip(("width", "height"), size.split(), strict=True):
            ElementTree.SubElement(sides, side).text = value
    for label, *corners in boxes:
        each = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(each, "name").text = label
        box = ElementTree.SubElement(each, "bndbox")
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
            ElementTree.SubElement(box, side).text = str(value)
    return ElementTree.tostring(root, "unicode")


def voc(folder: Path, boxes: Boxes = BOXES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file, held in boxes.items():
        (folder / file).with_suffix(".xml").write_text(voc_xml(file, held))
    return folder


def coco_of(boxes: Boxes = BOXES) -> dict[str, list[dict]]:
    names = {"cat": 5, "dog": 2}
    return {
        "images": [
            {"id": 100 + number, "file_name": file, "width": 40, "height": 30} for number, file in enumerate(boxes)
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 100 + number,
                "category_id": names[label],
                "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                "segmentation": [[1, 2, 3]],
                "iscrowd": 0,
            }
            for number, held in enumerate(boxes.values())
            for label, x_min, y_min, x_max, y_max in held
        ],
        "categories": [{"id": index, "name": name} for name, index in names.items()],
    }


def coco(folder: Path, content: Any = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "instances.json").write_text(json.dumps(coco_of() if content is None else content))
    return folder / "instances.json"


@pytest.mark.parametrize("annotate", [voc, coco])
def test_boxes_are_shares_of_height_and_width(tmp_path: Path, annotate: Callable[[Path], Path]) -> None:
    images = boxed_images(tmp_path / "images")
    done = converted(from_boxes.in_annotations(annotate(tmp_path / "annotations"), images), tmp_path)
    rows = rows_of(tmp_path / "out")
    assert [row["file"] for row in rows] == [[file.encode()] for file in BOXES]
    for row, (file, held) in zip(rows, BOXES.items(), strict=True):
        assert row["image"] == [(images / file).read_bytes()] and (row["height"], row["width"]) == ([30], [40])
        assert row.get("box_labels", []) == [label.encode() for label, *_ in held]
        expected = [[y_min / 30, x_min / 40, y_max / 30, x_max / 40] for _, x_min, y_min, x_max, y_max in held]
        assert np.allclose(np.reshape(row.get("boxes", []), [-1, 4]), np.reshape(expected, [-1, 4]), atol=1e-7)
    assert types_of(done) == {
        "image": "bytes", "boxes": "float", "box_labels": "bytes", "file": "bytes", "height": "int64", "width": "int64"
    }  # fmt: skip
    assert done.classes == {"cat": 2, "dog": 1} and done.notes == done.bad == ()


def test_boxes_lie_where_tensorflow_draws_them(tmp_path: Path) -> None:
    image = np.zeros([30, 40, 3], np.uint8)
    image[4:11, 20:37] = 255
    write(tmp_path / "images", a_png=example_data.image_bytes(image))
    annotations = voc(tmp_path / "annotations", {"a.png": [("cat", 20, 4, 36, 10)]})
    converted(from_boxes.in_annotations(annotations, tmp_path / "images"), tmp_path)
    (row,) = rows_of(tmp_path / "out")
    white = pixels(row["image"][0])[..., 0] > 0
    drawn = tf.image.draw_bounding_boxes(tf.zeros([1, 30, 40, 3]), [[row["boxes"]]], [[1.0, 1.0, 1.0]])
    for lit, expected in zip(np.nonzero(drawn.numpy()[0, ..., 0]), np.nonzero(white), strict=True):
        assert abs(lit.min() - expected.min()) <= 1 and abs(lit.max() - expected.max()) <= 1


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((5, 5, 41, 10), "is outside the image of 40x30: y 5 to 10, x 5 to 41"),
        ((5, 5, 10, 31), "is outside the image of 40x30: y 5 to 31, x 5 to 10"),
        ((-1, 5, 10, 10), "is outside the image of 40x30: y 5 to 10, x -1 to 10"),
        ((5, -2, 10, 10), "is outside the image of 40x30: y -2 to 10, x 5 to 10"),
        ((5, 5, 5, 10), "has no area: y 5 to 10, x 5 to 5"),
        ((5, 5, 10, 5), "has no area: y 5 to 5, x 5 to 10"),
        ((10, 5, 5, 10), "is upside down: y 5 to 10, x 10 to 5"),
        ((5, 10, 10, 5), "is upside down: y 10 to 5, x 5 to 10"),
        ((0, 0, 40.4, 30.4), None),
        ((-0.4, -0.4, 10, 10), None),
    ],
)
@pytest.mark.parametrize("form", ["voc", "coco"])
def test_wrong_boxes_are_named_and_cost_their_image(
    tmp_path: Path, box: tuple[float, ...], fault: str | None, form: str
) -> None:
    boxes: Any = BOXES | {"2.png": [("cat", 1, 1, 2, 2), ("dog", *box)]}
    images = boxed_images(tmp_path / "images")
    annotations = voc(tmp_path / "a", boxes) if form == "voc" else coco(tmp_path / "a", coco_of(boxes))
    done = converted(from_boxes.in_annotations(annotations, images), tmp_path, "skip")
    place = "2.xml" if form == "voc" else "2.png"
    assert done.bad == ((f"{place}: box 2 (dog) {fault}",) if fault else ())
    found = by_file(tmp_path / "out")
    assert list(found) == [file for file in BOXES if file != "2.png" or not fault]
    assert all(0 <= share <= 1 for row in found.values() for share in row.get("boxes", []))


BOMB = "<!DOCTYPE a [<!ENTITY a 'aaaa'>]><annotation><filename>&a;</filename></annotation>"


@pytest.mark.parametrize(
    ("xml", "fault"),
    [
        ("<annotation><filename>1.png</filename>", "is not XML: "),
        ("", "is not XML: "),
        ("{}", "is not XML: "),
        ("<html/>", "is not a Pascal VOC annotation: the root element is <html>, not <annotation>"),
        (BOMB, "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "declares a document type"),
        (voc_xml("1.png", [("", 1, 1, 2, 2)]), "object 1 has no name"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<xmin>1</xmin>", ""), "object 1 (cat) has no xmin"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<ymax>2<", "<ymax>two<"), "object 1 (cat): ymax"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<ymax>2<", "<ymax>nan<"), "box 1 (cat) is not finite"),
        (voc_xml("1.png", [], "20 30"), "1.png has 40x30 pixels, but 20x30 according to the annotation"),
        (voc_xml("1.png", [], "a b"), "the image: width is 'a', which is not a number"),
        (voc_xml("9.png", []), "there is no image '9.png' in images, nor one named x"),
        (voc_xml("2.png", []), "another file also annotates 2.png"),
        (voc_xml("../annotations/x.xml", []), "the path '../annotations/x.xml' leads out of the image folder"),
        (voc_xml("../gone.png", []), "the path '../gone.png' leads out of the image folder"),
        (voc_xml("/etc/passwd", []), "the path '/etc/passwd' leads out of the image folder"),
    ],
)  # fmt: skip
def test_bad_annotations_are_named(tmp_path: Path, xml: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    boxed_images(Path("images"))
    annotations = voc(Path("annotations"), {"2.png": BOXES["2.png"], "3.png": []})
    (annotations / "x.xml").write_text(xml)
    done = converted(from_boxes.in_annotations(annotations, Path("images")), tmp_path, "skip")
    (line,) = [line for line in done.bad if line.startswith("x.xml: ")]
    assert line.removeprefix("x.xml: ").startswith(fault)
    assert b"3.png" in [row["file"][0] for row in rows_of(tmp_path / "out")]


def test_an_image_is_found_by_the_name_of_its_annotation(tmp_path: Path) -> None:
    folder = boxed_images(tmp_path / "all", {"a.png": [], "b.png": [], "c.png": []})
    (folder / "a.xml").write_text(voc_xml("renamed.jpg", [("cat", 1, 1, 2, 2)], None))
    (folder / "b.xml").write_text(voc_xml("", [], "0 0"))
    done = converted(from_boxes.in_annotations(folder, folder), tmp_path)
    assert {file: row.get("box_labels") for file, row in by_file(tmp_path / "out").items()} == {
        "a.png": [b"cat"],
        "b.png": None,
    }
    assert done.notes == (f"1 files in {folder} are not listed in {folder} and are left out: c.png",)


@pytest.mark.parametrize(
    ("orientation", "size", "expected"),
    [
        (5, "48 32", "raw"),
        (6, "48 32", "raw"),
        (7, "48 32", "raw"),
        (8, "48 32", "raw"),
        (6, "32 48", "upright"),
        (1, "48 32", "raw"),
        (6, None, None),
        (3, "48 32", None),
        (8, "10 10", None),
    ],
)
def test_boxes_and_image_are_turned_together_or_not_at_all(
    tmp_path: Path, orientation: int, size: str | None, expected: str | None
) -> None:
    data = turned(tiles(), "PNG", orientation)
    write(tmp_path / "in", a_png=data, a_xml=voc_xml("a.png", [("cat", 8, 0, 16, 32)], size).encode())
    collection = from_boxes.in_annotations(tmp_path / "in", tmp_path / "in")
    if expected is None:
        with pytest.raises(
            UserError, match=r"a\.xml: (its EXIF data rotates the image, and the annotation|a\.png has 32x48 pixels)"
        ):
            converted(collection, tmp_path)
        return
    converted(collection, tmp_path)
    (row,) = rows_of(tmp_path / "out")
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels(row["image"][0]), np.asarray(image))
    assert (row["width"][0], row["height"][0]) == image.size
    # The annotated box, x 8 to 16 and y 0 to 32, painted where it applies, and rotated like the image.
    canvas = Image.new("L", tiles().size if expected == "raw" else image.size)
    canvas.paste(255, (8, 0, 16, 32))
    turn = orientation if expected == "raw" else 1
    painted = ImageOps.exif_transpose(Image.open(io.BytesIO(turned(canvas, "PNG", turn))))
    left, top, right, bottom = painted.getbbox()
    assert np.allclose(
        row["boxes"], [top / image.height, left / image.width, bottom / image.height, right / image.width]
    )


def changed(**keys: Any) -> dict:
    return coco_of() | keys


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON: "),
        ("[]", "Input should be an object"),
        ({"images": []}, "annotations: Field required\ninstances.json: categories: Field required"),
        (changed(images=[]), "contains no images"),
        (changed(annotations=[{"image_id": 1}]), "annotations.0.category_id: Field required"),
        (changed(annotations=[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3]}]), "annotations.0.bbox.3: "),
        (
            changed(images=[{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "a"}]),
            "more than one image has the id 1, the file a",
        ),
    ],
)
def test_coco_files_of_another_shape_are_refused(tmp_path: Path, content: Any, said: str) -> None:
    path = coco(tmp_path, content)
    if isinstance(content, str):
        path.write_text(content)
    with pytest.raises(UserError) as error:
        from_boxes.in_annotations(path, boxed_images(tmp_path / "images"))
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(f"instances.json: {said}")


def test_coco_annotations_of_nothing_are_bad_and_crowds_are_left_out(tmp_path: Path) -> None:
    content = coco_of()
    common = {"bbox": [1, 1, 2, 2], "id": 9}
    content["annotations"] += [
        {"image_id": 7, "category_id": 5, **common},
        {"image_id": 101, "category_id": 99, **common},
        {"image_id": 102, "category_id": 5, "iscrowd": 1, **common},
    ]
    content["images"].append({"id": 8, "file_name": "gone.png"})
    content["images"].append({"id": 9, "file_name": "../../etc/x"})
    images = boxed_images(tmp_path / "images", BOXES | {"more.png": []})
    done = converted(from_boxes.in_annotations(coco(tmp_path, content), images), tmp_path, "skip")
    assert done.bad == (
        "instances.json: images[4]: the path '../../etc/x' leads out of the image folder",
        "instances.json: annotations[3]: there is no image 7",
        "instances.json: annotations[4]: there is no category 99; its image is not converted",
        "gone.png: cannot be read: No such file or directory",
    )
    assert done.notes == (
        "1 crowd boxes (iscrowd) are left out",
        f"1 files in {images} are not listed in {tmp_path}/instances.json and are left out: more.png",
    )
    assert {file: row.get("box_labels") for file, row in by_file(tmp_path / "out").items()} == {
        "1.png": [b"cat", b"dog"],
        "3.png": None,
    }


@pytest.mark.parametrize(
    ("annotations", "images", "said"),
    [
        ("nowhere", "images", "nowhere: there is no such file or folder"),
        ("images", "nowhere", "nowhere: there is no such folder"),
        ("images", "images", "images: contains no XML files; expected Pascal VOC files, or pass a COCO JSON file"),
    ],
)
def test_annotations_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, annotations: str, images: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    boxed_images(Path("images"))
    with pytest.raises(UserError) as error:
        from_boxes.in_annotations(Path(annotations), Path(images))
    assert str(error.value) == said


# Real data


@pytest.mark.slow
def test_real_blood_cells(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "blood_cells"
    done = converted(from_boxes.in_annotations(folder / "Annotations", folder / "JPEGImages"), tmp_path, "skip")
    assert [line.split(":")[0] for line in done.bad] == ["BloodImage_00338.xml", "BloodImage_00343.xml"]
    assert all("has no area" in line for line in done.bad)
    found = by_file(tmp_path / "out")
    assert len(found) == done.rows == 362
    for file, row in found.items():
        root = ElementTree.parse(folder / "Annotations" / file.replace(".jpg", ".xml")).getroot()
        sides = [
            [float(e.findtext(f"bndbox/{s}", "")) for s in ("ymin", "xmin", "ymax", "xmax")]
            for e in root.iter("object")
        ]
        assert np.allclose(np.reshape(row["boxes"], [-1, 4]), np.array(sides) / [480, 640, 480, 640], atol=1e-6)
        assert row["box_labels"] == [(e.text or "").encode() for e in root.iter("name")]
