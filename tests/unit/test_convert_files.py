"""Images, texts, clips and boxes to TFRecords, against Pillow, and what was put in."""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.convert import collect as collecting
from hubline.pipeline.convert import from_boxes, from_images, from_text, from_video
from hubline.pipeline.convert.collect import Collected, collect
from hubline.pipeline.convert.collection import Collection
from hubline.pipeline.convert.from_video import Frames
from hubline.pipeline.convert.labels import read_labels
from hubline.pipeline.convert.output import Destination
from hubline.pipeline.init.command import init
from hubline.pipeline.load import load
from hubline.preprocessing.encoded_images import decode
from hubline.preprocessing.examples import flattened
from hubline.trainer.inputs import encoded_images, pixels_of_batch
from tests.support import example_data, hub_modules
from tests.unit.test_convert import rows_of, run, types_of


def converted(collection: Collection, folder: Path, on_bad: Any = "fail", workers: int = 2, **to: Any) -> Collected:
    """Converts to the folder's folder `out`."""
    return collect(collection, Destination(folder / "out", **to), on_bad, Console(quiet=True), workers)


def pixels(encoded: bytes) -> np.ndarray:
    """What a model sees: uint8 [height, width, 3]."""
    return decode(tf.constant(encoded)).numpy()


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def tiles(height: int = 4, width: int = 6, seed: int = 0) -> Image.Image:
    """Squares of 8 pixels in colours of their own: a JPEG keeps them."""
    colours = np.random.default_rng(seed).integers(0, 256, [height, width, 3], np.uint8)
    return Image.fromarray(colours.repeat(8, axis=0).repeat(8, axis=1))


def turned(image: Image.Image, form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, form, exif=exif, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))


def write(folder: Path, **files: bytes) -> Path:
    """Files by path; `a__b` is the file b in the folder a, and the last `_` stands for a dot."""
    for name, data in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = folder / (f"{stem}.{ending}" if stem else ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def by_file(folder: Path) -> dict[str, dict[str, list]]:
    return {row["file"][0].decode(): row for row in rows_of(folder)}


# Images


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve images of two classes."""
    forms = ["JPEG", "PNG", "GIF", "BMP"]
    for number in range(12):
        label = ("cat", "dog")[number % 2]
        data = saved(tiles(seed=number), forms[number % 4])
        write(tmp_path / "photos", **{f"{label}__{number}_{forms[number % 4].lower()}": data})
    return tmp_path / "photos"


def test_images_are_stored_as_they_are_with_their_folder_as_label(photos: Path, tmp_path: Path) -> None:
    done = converted(from_images.in_folders(photos), tmp_path)
    found = rows_of(tmp_path / "out")
    assert types_of(done) == {"image": "bytes", "label": "bytes", "file": "bytes"}
    assert done.classes == {"cat": 6, "dog": 6} and done.notes == done.bad == ()
    files = [str(path.relative_to(photos)) for path in photos.glob("*/*")]
    expected = sorted(files, key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    assert [row["file"][0].decode() for row in found] == expected
    for row in found:
        file = row["file"][0].decode()
        assert row == {
            "image": [(photos / file).read_bytes()],
            "label": [file.partition("/")[0].encode()],
            "file": [file.encode()],
        }


@pytest.mark.parametrize("workers", [1, 3, 20])
@pytest.mark.parametrize("shards", [None, 5])
def test_what_is_written_does_not_depend_on_the_number_of_threads(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, shards: int | None
) -> None:
    monkeypatch.setattr(collecting, "BATCH_BYTES", 3000)
    write(photos, cat__broken_jpg=b"\xff\xd8\xff")
    written = []
    for number in (2, workers):
        collection = from_images.in_folders(photos)
        converted(collection, tmp_path, "skip", number, shards=shards, overwrite=True)
        written.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert written[0] == written[1] and len(written[0]) == (shards or 1)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_more_is_made_than_is_soon_written(workers: int) -> None:
    begun: list[int] = []
    for done, (item, made) in enumerate(
        collecting._in_order(lambda item: begun.append(item) or -item, iter(range(100)), workers), start=1
    ):
        assert made == -item == -(done - 1)
        assert len(begun) <= done + 2 * workers
    assert sorted(begun) == list(range(100))


@pytest.mark.parametrize(
    ("image", "form", "options"),
    [
        (tiles(), "WEBP", {"lossless": True}),
        (tiles().convert("RGBA"), "WEBP", {"lossless": True}),
        (tiles(), "TIFF", {}),
        (tiles().convert("L"), "TIFF", {"compression": "tiff_lzw"}),
        (tiles().convert("1"), "TIFF", {}),
        (tiles().convert("CMYK"), "TIFF", {}),
        (tiles().convert("1"), "BMP", {}),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else None,
)
def test_what_tensorflow_does_not_read_is_encoded_again_without_loss(
    tmp_path: Path, image: Image.Image, form: str, options: dict
) -> None:
    data = saved(image, form, **options)
    done = converted(from_images.in_folders(write(tmp_path / "in", a__x_img=data)), tmp_path)
    (row,) = rows_of(tmp_path / "out")
    assert row["image"][0].startswith(b"\x89PNG")
    assert np.array_equal(pixels(row["image"][0]), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    (note,) = done.notes
    assert note.startswith(f"1 images encoded again as PNG, from {form}")


def test_pixels_of_16_bits_stay_and_those_of_32_are_bad(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, [5, 7]).astype(np.uint16)
    write(tmp_path / "in", a__x_tif=saved(Image.fromarray(values), "TIFF"))
    write(tmp_path / "in", a__y_tif=saved(Image.fromarray(values.astype(np.float32)), "TIFF"))
    done = converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip")
    (row,) = rows_of(tmp_path / "out")
    assert np.array_equal(tf.io.decode_png(row["image"][0], dtype=tf.uint16).numpy()[..., 0], values)
    assert done.bad == ("a/y.tif: has pixels of 32 bits (mode F), which no PNG holds",)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_that_exif_turns_are_seen_upright(tmp_path: Path, form: str, orientation: int) -> None:
    data = turned(tiles(), form, orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    converted(from_images.in_folders(write(tmp_path / "in", a__x_img=data)), tmp_path)
    stored = by_file(tmp_path / "out")["a/x.img"]["image"][0]
    assert np.array_equal(pixels(stored), np.asarray(upright.convert("RGB")))
    assert (stored == data) == (form != "WEBP")


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg(tmp_path: Path) -> None:
    data = saved(tiles(), "MPO", save_all=True, append_images=[tiles(seed=1)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    done = converted(from_images.in_folders(write(tmp_path / "in", a__x_jpg=data)), tmp_path)
    assert rows_of(tmp_path / "out")[0]["image"] == [data] and not done.notes


def test_large_images_are_made_smaller_and_others_stay(tmp_path: Path) -> None:
    wide = tiles(5, 7).resize((448, 320), Image.Resampling.NEAREST)
    large, small = saved(wide, "JPEG"), saved(tiles(), "JPEG")
    palette, upright = saved(wide.quantize(64), "PNG"), turned(wide, "JPEG", 6)
    write(tmp_path / "in", a__large_jpg=large, a__small_jpg=small, a__palette_png=palette, a__upright_jpg=upright)
    done = converted(from_images.in_folders(tmp_path / "in", max_side=112), tmp_path)
    found = {file: row["image"][0] for file, row in by_file(tmp_path / "out").items()}
    assert found["a/small.jpg"] == small
    assert {file: pixels(data).shape for file, data in found.items() if "small" not in file} == {
        "a/large.jpg": (80, 112, 3),
        "a/palette.png": (80, 112, 3),
        "a/upright.jpg": (112, 80, 3),
    }
    expected = np.asarray(wide.resize((112, 80), Image.Resampling.BOX)).astype(int)
    assert np.abs(pixels(found["a/large.jpg"]) - expected).mean() < 8
    assert np.abs(pixels(found["a/palette.png"]) - expected).mean() < 8
    assert np.abs(pixels(found["a/upright.jpg"]) - np.rot90(expected, -1)).mean() < 8
    assert "3 images made smaller" in done.notes


BROKEN = {
    "cut_jpg": (saved(tiles(), "JPEG")[:-200], "does not decode"),
    "cut_png": (saved(tiles(), "PNG")[:-40], "does not decode"),
    "cut_gif": (saved(tiles(), "GIF")[:-60], "does not decode"),
    "cut_bmp": (saved(tiles(), "BMP")[:-60], "does not decode"),
    "cut_webp": (saved(tiles(), "WEBP")[:-20], "does not decode"),
    "cut_tif": (saved(tiles(), "TIFF")[:200], "does not decode"),
    "head_jpg": (b"\xff\xd8\xff\xe0", "is no image: it begins with"),
    "empty_png": (b"", "the file is empty"),
    "notes_txt": (b"to do", "is no image: it begins with b'to do'"),
}


def test_bad_images_are_all_named_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    write(
        photos, **{f"cat__{name}": data for name, (data, _) in BROKEN.items()}, stray_png=example_data.random_image(0)
    )
    (photos / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    (photos / "dog" / ".DS_Store").write_bytes(b"x")
    (photos / "dog" / "Thumbs.db").write_bytes(b"x")
    reasons = {f"cat/{name.replace('_', '.')}": reason for name, (_, reason) in BROKEN.items()}
    reasons["dog/gone.png"] = "cannot be read: No such file or directory"
    reasons["stray.png"] = "has no class: it lies beside the folders of the classes"
    with pytest.raises(UserError) as error:
        converted(from_images.in_folders(photos), tmp_path)
    *lines, last = str(error.value).splitlines()
    assert last == "11 bad, 12 good; mend them, or say --bad skip to leave them out"
    said = dict(line.split(": ", 1) for line in lines)
    assert said.keys() == reasons.keys()
    assert all(said[file].startswith(reason) for file, reason in reasons.items()), said
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]

    done = converted(from_images.in_folders(photos), tmp_path, "skip", shards=4)
    assert sorted(done.bad) == sorted(lines) and done.rows == 12
    assert [len(example_data.read_tfrecord(path)) for path in sorted((tmp_path / "out").iterdir())] == [3, 3, 3, 3]
    assert all((photos / file).read_bytes() == row["image"][0] for file, row in by_file(tmp_path / "out").items())


def test_where_all_is_bad_or_shards_are_too_many_nothing_is_written(tmp_path: Path) -> None:
    write(tmp_path / "in", a__x_jpg=b"x", a__y_jpg=b"y")
    with pytest.raises(UserError, match="2 bad, 0 good; nothing is left"):
        converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip")
    write(tmp_path / "in", a__z_png=example_data.random_image(0))
    with pytest.raises(UserError, match="--shards 2: there are 1 examples"):
        converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip", shards=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "in: there is no such folder"),
        ({"x_png": b""}, "in: holds no folders; it takes one for each class, with its images"),
        ({"a__b__x_png": b"", "c__x_png": b""}, "in/a: holds folders (b); is it the folder to convert?"),
    ],
)
@pytest.mark.parametrize("convert", [from_images.in_folders, from_text.in_folders])
def test_folders_of_another_shape_are_refused(
    tmp_path: Path, files: dict[str, bytes] | None, said: str, convert: Callable[[Path], Collection]
) -> None:
    if files:
        write(tmp_path / "in", **files)
    with pytest.raises(UserError) as error:
        convert(tmp_path / "in")
    expected = said if convert is from_images.in_folders else said.replace("images", "texts")
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines()[0] == expected


def test_empty_classes_are_noted_and_nothing_but_these_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in" / "none").mkdir(parents=True)
    with pytest.raises(UserError, match=r"in: there are no images in its folders \(none\)"):
        from_images.in_folders(tmp_path / "in")
    write(tmp_path / "in", a__x_png=example_data.random_image(0))
    assert converted(from_images.in_folders(tmp_path / "in"), tmp_path).notes == ("none: holds no images",)


def test_a_name_that_is_not_utf8_is_bad(tmp_path: Path) -> None:
    write(tmp_path / "in", a__x_png=example_data.random_image(0))
    Path(os.fsdecode(os.fsencode(tmp_path / "in" / "a") + b"/\xff.png")).write_bytes(example_data.random_image(1))
    done = converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip")
    assert done.bad == ("a/\ufffd.png: its name is not UTF-8",) and done.rows == 1


# Labels in a table


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four images in a folder and one deeper."""
    names = ("1_png", "2_png", "3_png", "deeper__4_png")
    return write(tmp_path / "pictures", **{name: example_data.random_image(k) for k, name in enumerate(names)})


def labelled(pictures: Path, text: str, separator: str | None = None, **columns: str) -> Collection:
    labels = read_labels(table(pictures, text), columns.get("file", "file"), columns.get("label", "label"), separator)
    return from_images.with_labels(pictures, labels, bool(separator))


def test_a_table_gives_labels_and_typed_columns_in_its_order(pictures: Path, tmp_path: Path) -> None:
    text = "file,label,age,weight,when\ndeeper/4.png,cat,3,1.5,1970-01-02\n1.png,dog,,2,\n3.png,cat,5,,1970-01-01\n"
    done = converted(labelled(pictures, text), tmp_path)
    columns = [
        {"file": [b"deeper/4.png"], "label": [b"cat"], "age": [3], "weight": [1.5], "when": [86400]},
        {"file": [b"1.png"], "label": [b"dog"], "weight": [2.0]},
        {"file": [b"3.png"], "label": [b"cat"], "age": [5], "when": [0]},
    ]
    for row, expected in zip(rows_of(tmp_path / "out"), columns, strict=True):
        assert row == {"image": [(pictures / expected["file"][0].decode()).read_bytes()]} | expected
    assert types_of(done) == {
        "image": "bytes", "file": "bytes", "label": "bytes", "age": "int64", "weight": "float", "when": "int64"
    }  # fmt: skip
    assert {column.name: column.missing for column in done.columns if column.missing} == {
        "age": 1, "weight": 1, "when": 1
    }  # fmt: skip
    assert done.classes == {"cat": 2, "dog": 1}
    assert done.notes == (f"1 files in {pictures} are not in {pictures}/labels.csv and are left out: 2.png",)


def test_a_cell_may_hold_several_labels(pictures: Path, tmp_path: Path) -> None:
    text = "photo;tags;n\n1.png;a | b;1\n2.png;;2\n3.png;b;3\ndeeper/4.png;|c|;4\n".replace(";", ",")
    done = converted(labelled(pictures, text, "|", file="photo", label="tags"), tmp_path)
    rows = rows_of(tmp_path / "out")
    assert [row.get("label") for row in rows] == [[b"a", b"b"], None, [b"b"], [b"c"]]
    assert [row["n"] for row in rows] == [[1], [2], [3], [4]]
    assert done.classes == {"a": 1, "b": 2, "c": 1} and done.columns[2].multiple


def test_labels_that_are_numbers_are_numbers_also_in_lists(pictures: Path, tmp_path: Path) -> None:
    converted(labelled(pictures, "file,label\n1.png,7\n2.png,-1\n"), tmp_path)
    assert [row["label"] for row in rows_of(tmp_path / "out")] == [[7], [-1]]
    done = converted(labelled(pictures, "file,label\n1.png,7+8\n2.png,-1\n", "+"), tmp_path, overwrite=True)
    assert [row["label"] for row in rows_of(tmp_path / "out")] == [[7, 8], [-1]] and done.classes["8"] == 1
    done = converted(labelled(pictures, "file,label\n1.png,0.5\n2.png,3\n"), tmp_path, overwrite=True)
    assert [row["label"] for row in rows_of(tmp_path / "out")] == [[0.5], [3.0]] and done.classes == {}


def test_a_table_with_tabs(pictures: Path, tmp_path: Path) -> None:
    labels = read_labels(table(tmp_path, "file\tlabel\n1.png\ta,b\n", "labels.tsv"), "file", "label", None)
    converted(from_images.with_labels(pictures, labels, False), tmp_path)
    assert rows_of(tmp_path / "out")[0]["label"] == [b"a,b"]


def test_rows_without_file_or_label_are_bad(pictures: Path, tmp_path: Path) -> None:
    text = "file,label\n1.png,a\n9.png,a\n2.png,\n../1.png,a\n/etc/passwd,b\ndeeper,b\n"
    done = converted(labelled(pictures, text), tmp_path, "skip")
    assert done.bad == (
        "9.png: cannot be read: No such file or directory",
        "2.png: has no label",
        "../1.png: the path '../1.png' leads out of the folder of the images",
        "/etc/passwd: the path '/etc/passwd' leads out of the folder of the images",
        "deeper: cannot be read: Is a directory",
    )
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"1.png"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "labels.csv: the file is empty"),
        ("file,label\n", "labels.csv: there are no rows"),
        ("fiel,label\n1.png,a\n", "labels.csv: has no column 'file'; did you mean 'fiel'? known here: fiel"),
        ("file,class\n1.png,a\n", "labels.csv: has no column 'label'; known here: file, class; --label"),
        ("file,label\n1.png,a\n,b\n", "labels.csv:3: names no file (1 rows like this)"),
        ("file,label\n1.png,a\n1.png,b\n", "labels.csv: 1 files have more than one row (1.png); give each one row"),
        ("file,label,image\n1.png,a,b\n", "the labels have a column 'image', which is made here; rename it"),
        ("file,label\n1.png\n", "labels.csv:2: 1 cells where there are 2 columns"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(pictures: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        labelled(pictures, text)
    assert str(error.value).replace(f"{pictures}/", "").startswith(said)


# Texts


def test_texts_in_folders(tmp_path: Path) -> None:
    two_lines = "ünï\r\n  two lines\n".encode()
    write(tmp_path / "in", good__1_txt=two_lines, bad__2_text=b"\xef\xbb\xbfwith a mark", bad__3_md=b"x")
    done = converted(from_text.in_folders(tmp_path / "in"), tmp_path)
    assert {file: (row["text"], row["label"]) for file, row in by_file(tmp_path / "out").items()} == {
        "good/1.txt": ([two_lines], [b"good"]),
        "bad/2.text": ([b"with a mark"], [b"bad"]),
        "bad/3.md": ([b"x"], [b"bad"]),
    }
    assert done.classes == {"bad": 2, "good": 1}


def test_files_that_are_no_text_are_bad(tmp_path: Path) -> None:
    write(tmp_path / "in", a__1_txt=b"ok", a__2_txt=b"ok \xe9", a__3_txt=b" \n", a__4_bin=b"a\0b", top_txt=b"x")
    done = converted(from_text.in_folders(tmp_path / "in"), tmp_path, "skip")
    assert sorted(done.bad) == [
        "a/2.txt: byte 0xe9 at 3 is not UTF-8",
        "a/3.txt: there is no text",
        "a/4.bin: is no text: it holds zero bytes",
        "top.txt: has no class: it lies beside the folders of the classes",
    ]
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"a/1.txt"]]


lines = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=5), max_size=6)


@given(lines, st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_lines_are_texts_and_blank_ones_are_none(texts: list[str], ending: str, ended: bool) -> None:
    wanted = [text for text in texts if text.encode().strip()]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        patch.setattr(from_text, "_BOM", b"\xff")  # which no text of these begins with
        folder = Path(name)
        (folder / "lines.txt").write_bytes((ending.join(texts) + ending * ended).encode())
        if not wanted:
            with pytest.raises(UserError, match="there are no lines"):
                from_text.in_lines(folder / "lines.txt")
            return
        converted(from_text.in_lines(folder / "lines.txt"), folder)
        assert rows_of(folder / "out") == [{"text": [text.encode()]} for text in wanted]


@pytest.mark.parametrize(
    ("labels", "kind", "values"),
    [("good\nbad\ngood\n\n", "bytes", [b"good", b"bad", b"good"]), ("1\r\n0\r\n1", "int64", [1, 0, 1])],
)
def test_lines_with_labels(tmp_path: Path, labels: str, kind: str, values: list) -> None:
    write(tmp_path, texts_txt=b"\xef\xbb\xbffine, I say\nno\nwell \n", labels_txt=labels.encode())
    done = converted(from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt"), tmp_path)
    texts = [b"fine, I say", b"no", b"well "]
    assert rows_of(tmp_path / "out") == [
        {"text": [text], "label": [label]} for text, label in zip(texts, values, strict=True)
    ]
    assert types_of(done) == {"text": "bytes", "label": kind}
    assert done.classes == {str(v.decode() if isinstance(v, bytes) else v): values.count(v) for v in values}


def test_bad_lines_are_named_by_their_number(tmp_path: Path) -> None:
    write(tmp_path, texts_txt=b"a\n\nb\n\xe9\nc\n", labels_txt=b"x\ny\n\nx\ny\n")
    done = converted(from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt"), tmp_path, "skip")
    assert [line.replace(f"{tmp_path}/", "") for line in done.bad] == [
        "texts.txt:2: there is no text",
        "texts.txt:3: has no label in labels.txt",
        "texts.txt:4: byte 0xe9 at 0 is not UTF-8",
    ]
    assert [row["text"] for row in rows_of(tmp_path / "out")] == [[b"a"], [b"c"]]


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        (b"a\nb\n", b"x\n", "labels.txt: 1 labels for the 2 lines of texts.txt"),
        (b"a\n", b"x\ny\n", "labels.txt: 2 labels for the 1 lines of texts.txt"),
        (b"a\nb\n", b"x\n\xe9\n", "labels.txt:2: byte 0xe9 is not UTF-8"),
        (None, b"x", "texts.txt: there is no such file"),
        (b"a\n", None, "labels.txt: there is no such file"),
    ],
)
def test_lines_and_labels_must_go_together(
    tmp_path: Path, texts: bytes | None, labels: bytes | None, said: str
) -> None:
    files = {"texts_txt": texts, "labels_txt": labels}
    write(tmp_path, **{name: data for name, data in files.items() if data is not None})
    with pytest.raises(UserError) as error:
        from_text.in_lines(tmp_path / "texts.txt", tmp_path / "labels.txt")
    assert str(error.value).replace(f"{tmp_path}/", "") == said


def test_a_table_of_texts_is_for_another_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a table, not a text on each line; hubline convert csv"):
        from_text.in_lines(table(tmp_path, "text,label\na,b\n"))


# Clips


def grey(level: int, height: int = 8, width: int = 8) -> Image.Image:
    return Image.fromarray(np.full([height, width, 3], level, np.uint8))


def levels(frames: Sequence[bytes]) -> list[int]:
    """The mean of each frame, to the nearest ten: JPEG is not exact."""
    return [int(round(pixels(frame).mean(), -1)) for frame in frames]


def animation(form: str, count: int = 10, duration: int = 100) -> bytes:
    first, *others = (grey(20 * number) for number in range(count))
    options = {"lossless": True} if form == "WEBP" else {}
    return saved(first, form, save_all=True, append_images=others, duration=duration, **options)


def test_folders_of_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = {f"frame{number}": saved(grey(10 * number), ("JPEG", "PNG")[number % 2]) for number in range(1, 13)}
    write(tmp_path / "in", **{f"run__clip 1__{name}_img": data for name, data in frames.items()})
    write(tmp_path / "in", **{f"jump__clip__{name}_img": data for name, data in list(frames.items())[:2]})
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path)
    found = by_file(tmp_path / "out")
    assert found["run/clip 1"] == {"frames": list(frames.values()), "label": [b"run"], "file": [b"run/clip 1"]}
    assert found["jump/clip"]["frames"] == list(frames.values())[:2]
    assert types_of(done) == {"frames": "bytes", "label": "bytes", "file": "bytes", "fps": "float"}
    assert done.classes == {"run": 1, "jump": 1}


def test_frames_are_chosen_resized_and_turned(tmp_path: Path) -> None:
    write(tmp_path / "in", a__clip__1_jpg=turned(tiles(), "JPEG", 6), a__clip__2_webp=saved(tiles(), "WEBP"))
    write(tmp_path / "in", a__clip__3_jpg=saved(tiles(), "JPEG"))
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path)
    first, second, _ = rows_of(tmp_path / "out")[0]["frames"]
    assert pixels(first).shape == (48, 32, 3) and second.startswith(b"\xff\xd8\xff")
    assert not done.notes and first == turned(tiles(), "JPEG", 6)
    converted(from_video.in_folders(tmp_path / "in", Frames(most=2, size=(10, 20))), tmp_path, overwrite=True)
    assert [pixels(frame).shape for frame in rows_of(tmp_path / "out")[0]["frames"]] == [(10, 20, 3)] * 2
    sizes = []
    for quality in (20, 95):
        wanted = Frames(most=1, size=(64, 64), quality=quality)
        converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path, overwrite=True)
        sizes.append(len(rows_of(tmp_path / "out")[0]["frames"][0]))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
@pytest.mark.parametrize(
    ("wanted", "expected", "rate"),
    [
        (Frames(), [0, 20, 40, 60, 80, 100, 120, 140, 160, 180], 10),
        (Frames(most=3), [0, 20, 40], 10),
        (Frames(per_second=5), [0, 40, 80, 120, 160], 5),
        (Frames(per_second=4), [0, 60, 100, 160], 4),
        (Frames(per_second=2.5, most=2), [0, 80], 2.5),
        (Frames(per_second=100), [0, 20, 40, 60, 80, 100, 120, 140, 160, 180], 10),
    ],
)
def test_animations(tmp_path: Path, form: str, wanted: Frames, expected: list[int], rate: float) -> None:
    write(tmp_path / "in", **{f"a__clip_{form.lower()}": animation(form)})
    converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path)
    (row,) = rows_of(tmp_path / "out")
    assert levels(row["frames"]) == expected and row["fps"] == [rate]


def test_sequence_examples_have_a_step_for_each_frame(tmp_path: Path) -> None:
    write(tmp_path / "in", a__clip_gif=animation("GIF", 3), b__clip__1_png=saved(grey(50), "PNG"))
    converted(from_video.in_folders(tmp_path / "in", Frames(), sequence_examples=True), tmp_path)
    (path,) = (tmp_path / "out").iterdir()
    for record in example_data.read_tfrecord(path):
        context, lists = tf.io.parse_single_sequence_example(
            record,
            {"label": tf.io.FixedLenFeature([], tf.string), "fps": tf.io.FixedLenFeature([], tf.float32, -1.0)},
            {"frames": tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        steps = lists["frames"].numpy().tolist()
        seen = context["label"].numpy(), float(context["fps"]), levels(steps)
        assert seen in [(b"a", 10.0, [0, 20, 40]), (b"b", -1.0, [50])]
        assert set(tf.train.SequenceExample.FromString(record).context.feature) <= {"label", "fps", "file"}


def test_bad_clips_are_named_with_the_frame(tmp_path: Path) -> None:
    good = saved(grey(0), "PNG")
    noisy = saved(tiles(), "GIF", save_all=True, append_images=[tiles(seed=1), tiles(seed=2)], duration=50)
    write(tmp_path / "in", a__good__1_png=good, a__cut__1_png=good, a__cut__2_png=good[:-20], a__still_gif=good)
    write(tmp_path / "in", a__cut_gif=noisy[:-100], a__notes_txt=b"x", a__nested__deeper__1_png=good)
    (tmp_path / "in" / "a" / "empty").mkdir()
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path, "skip")
    said = dict(line.split(": ", 1) for line in done.bad)
    assert said.pop("a/cut").startswith("2.png: does not decode: ")
    assert said.pop("a/cut.gif").startswith("does not decode: ")
    assert said == {
        "a/still.gif": "is a single image; a clip is a folder of frames, an animation or a video file",
        "a/notes.txt": "is neither a folder of frames nor an animation or video file, by its name",
        "a/nested": "deeper: cannot be read: Is a directory",
        "a/empty": "the folder holds no frames",
    }
    with pytest.raises(UserError, match="a/good: --frames-per-second: a folder of frames does not say"):
        converted(from_video.in_folders(tmp_path / "in", Frames(per_second=5)), tmp_path, overwrite=True)


def test_video_files_ask_for_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    write(tmp_path / "in", a__1_mp4=b"", a__2_AVI=b"", a__clip__1_png=b"")
    with pytest.raises(UserError, match=r"2 video files, which only PyAV reads, .* install .*'av>=14'\. Folders"):
        from_video.in_folders(tmp_path / "in", Frames())


def film(path: Path, count: int, rate: int, codec: str = "mpeg4") -> None:
    """A video whose upper left corner is red and which gets lighter by 10 with each frame."""
    av = pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = 48, 64, "yuv420p", 8_000_000
        for number in range(count):
            frame = np.full([48, 64, 3], 10 * number, np.uint8)
            frame[:16, :16] = [255, 0, 0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "MOV"])
def test_video_files(tmp_path: Path, ending: str) -> None:
    film(tmp_path / "in" / "a" / f"clip.{ending}", count=20, rate=10)
    for wanted, numbers, rate in (
        (Frames(), range(20), 10.0),
        (Frames(per_second=5, most=6), range(0, 12, 2), 5.0),
        (Frames(size=(24, 32), most=4), range(4), 10.0),
    ):
        converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path, overwrite=True)
        (row,) = rows_of(tmp_path / "out")
        assert row["fps"] == [rate] and row["file"] == [f"a/clip.{ending}".encode()]
        found = np.stack([pixels(frame) for frame in row["frames"]]).astype(int)
        height, width = wanted.size or (48, 64)
        assert found.shape == (len(numbers), height, width, 3)
        assert np.abs(found[:, height // 2 :, width // 2 :].mean(axis=(1, 2, 3)) - 10 * np.array(numbers)).max() < 5
        assert found[:, 2, 2, 0].min() > 200 > 100 > found[:, 2, 2, 2].max()


@pytest.mark.parametrize(("matrix", "corner"), [((0, 1, -1, 0), (2, -3)), ((-1, 0, 0, -1), (-3, -3))])
def test_a_phone_s_film_is_upright(tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]) -> None:
    """A quarter turn clockwise takes the upper left corner to the upper right, half a turn to the lower right."""
    path = tmp_path / "in" / "a" / "clip.mp4"
    film(path, count=3, rate=10)
    data = path.read_bytes()
    fixed = [value << 16 for value in matrix]
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turn = struct.pack(">9i", fixed[0], fixed[1], 0, fixed[2], fixed[3], 0, 0, 0, 1 << 30)
    header = data.index(b"tkhd")
    place = data.index(identity, header)
    path.write_bytes(data[:place] + turn + data[place + len(turn) :])
    converted(from_video.in_folders(tmp_path / "in", Frames(most=1)), tmp_path)
    found = pixels(rows_of(tmp_path / "out")[0]["frames"][0])
    assert found.shape == ((64, 48, 3) if matrix[0] == 0 else (48, 64, 3))
    assert found[corner][0] > 200 > 100 > found[corner][2]


def test_broken_video_files_are_bad(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a" / "good.mp4", count=10, rate=10)
    data = (tmp_path / "in" / "a" / "good.mp4").read_bytes()
    write(tmp_path / "in", a__cut_mp4=data[: len(data) // 2], a__text_avi=b"hello", a__empty_mkv=b"")
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path, "skip")
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"a/good.mp4"]]
    said = sorted(line.split(": ")[:2] for line in done.bad)
    assert said == [[f"a/{name}", "does not decode"] for name in ("cut.mp4", "empty.mkv", "text.avi")]


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
        ("<annotation><filename>1.png</filename>", "is no XML: "),
        ("", "is no XML: "),
        ("{}", "is no XML: "),
        ("<html/>", "is no annotation of Pascal VOC: it is <html>, not <annotation>"),
        (BOMB, "declares a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>', "declares a document type"),
        (voc_xml("1.png", [("", 1, 1, 2, 2)]), "object 1 has no name"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<xmin>1</xmin>", ""), "object 1 (cat) has no xmin"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<ymax>2<", "<ymax>two<"), "object 1 (cat): its ymax"),
        (voc_xml("1.png", [("cat", 1, 1, 2, 2)]).replace("<ymax>2<", "<ymax>nan<"), "box 1 (cat) is not finite"),
        (voc_xml("1.png", [], "20 30"), "1.png has 40x30 pixels, where 20x30 are annotated"),
        (voc_xml("1.png", [], "a b"), "the image: its width is 'a', no number"),
        (voc_xml("9.png", []), "there is no image '9.png' in images, and none of the name x"),
        (voc_xml("2.png", []), "another file is on 2.png, too"),
        (voc_xml("../annotations/x.xml", []), "the path '../annotations/x.xml' leads out of the folder of the images"),
        (voc_xml("../gone.png", []), "the path '../gone.png' leads out of the folder of the images"),
        (voc_xml("/etc/passwd", []), "the path '/etc/passwd' leads out of the folder of the images"),
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
    assert done.notes == (f"1 files in {folder} are not in {folder} and are left out: c.png",)


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
        with pytest.raises(UserError, match=r"a\.xml: (its EXIF turns the image, and whether|a\.png has 32x48 pixels)"):
            converted(collection, tmp_path)
        return
    converted(collection, tmp_path)
    (row,) = rows_of(tmp_path / "out")
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels(row["image"][0]), np.asarray(image))
    assert (row["width"][0], row["height"][0]) == image.size
    # The annotated box, x 8 to 16 and y 0 to 32, painted where it counts, and turned as the image is.
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
        (changed(images=[]), "there are no images in it"),
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
        "instances.json: images[4]: the path '../../etc/x' leads out of the folder of the images",
        "instances.json: annotations[3]: there is no image 7",
        "instances.json: annotations[4]: there is no category 99; its image is not converted",
        "gone.png: cannot be read: No such file or directory",
    )
    assert done.notes == (
        "1 boxes around crowds are left out",
        f"1 files in {images} are not in {tmp_path}/instances.json and are left out: more.png",
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
        ("images", "images", "images: there are no XML files; it takes Pascal VOC's, or a JSON file of COCO's"),
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


def test_real_photographs(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "clothing" / "validation"
    done = converted(from_images.in_folders(folder), tmp_path, shards=3)
    found = by_file(tmp_path / "out")
    assert done.rows == len(found) == len(list(folder.glob("*/*"))) and len(done.classes) == 10
    assert all(row["image"] == [(folder / file).read_bytes()] for file, row in found.items())
    # Each file holds all classes: whoever reads its beginning alone meets them.
    assert len({row["label"][0] for row in rows_of(tmp_path / "out")[:80]}) == 10


# The commands


def test_the_command_shows_columns_classes_and_what_is_next(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "dog" / "1.png").unlink()
    write(photos, cat__broken_jpg=b"no", cat__100_tif=saved(tiles(), "TIFF"))
    assert run(monkeypatch, "images", photos, "--output", tmp_path / "out", "--bad", "skip", "--gzip") == 0
    printed = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    first = rows_of(tmp_path / "out")[0]
    form = Image.open(io.BytesIO(first["image"][0])).format
    assert printed[:-2] == [
        "12 rows",
        "column type missing example",
        f"image bytes {form}, {len(first['image'][0]):,} bytes",
        f"label bytes {first['label'][0].decode()}",
        f"file bytes {first['file'][0].decode()}",
        "",
        "label count share",
        "cat 7 58.3%",
        "dog 5 41.7%",
        "1 images encoded again as PNG, from TIFF",
        "cat/broken.jpg: is no image: it begins with b'no'",
        "1 bad, left out",
    ]
    assert printed[-2].startswith(f"12 examples in 1 file in {tmp_path}/out, ")
    assert printed[-1] == f"Next: hubline init {tmp_path}/out"


def test_the_commands_print_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", a__1_txt=b"one", b__2_txt=b"\xff")
    arguments = ["text", tmp_path / "in", "--output", tmp_path / "out", "--json"]
    assert run(monkeypatch, *arguments) == 2
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "mistake" and said["error"].startswith(
        "b/2.txt: byte 0xff at 0 is not UTF-8\n1 bad, 1 good"
    )
    assert run(monkeypatch, *arguments, "--bad", "skip") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["classes"] == {"a": 1} and said["bad"] == ["b/2.txt: byte 0xff at 0 is not UTF-8"] and said["rows"] == 1
    assert [column["name"] for column in said["columns"]] == ["text", "label", "file"] and said["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images", "nowhere"], "nowhere: there is no such folder\n"),
        (["images", "in", "--labels", "nowhere.csv"], "nowhere.csv: there is no such file\n"),
        (["images", "in", "--separator", "|"], "--separator, --file-column and --label-column go with --labels\n"),
        (["text", "in", "--labels", "x"], "--labels x: goes with a file of lines; in in the folders are the labels\n"),
        (["text", "nowhere.txt"], "nowhere.txt: there is no such file\n"),
        (["video", "in", "--size", "12"], "--size 12: takes HEIGHTxWIDTH in pixels, such as 112x112\n"),
        (["video", "in", "--size", "0x12"], "--size 0x12: takes HEIGHTxWIDTH"),
        (["boxes", "nowhere", "--images", "in"], "nowhere: there is no such file or folder\n"),
        (["images", "in", "--output", "in"], "in: holds files that no conversion wrote (a); give another folder\n"),
    ],
)
def test_mistakes_end_with_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("in"), a__1_png=example_data.random_image(0))
    command, *rest = arguments
    assert run(monkeypatch, command, "--output", "out", *rest) == 2
    assert capfd.readouterr().err.replace(f"{tmp_path}/", "").startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_help_and_mistakes_need_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    script = (
        "import sys\n"
        "from hubline.pipeline.cli import main\n"
        "commands = ['images', 'text', 'video', 'boxes']\n"
        "helps = [[name, '--help'] for name in commands]\n"
        "mistakes = [[name, sys.argv[1], *(['--images', '.'] if name == 'boxes' else []), '--output', 'out']\n"
        "            for name in commands]\n"
        "for arguments in helps + mistakes:\n"
        "    sys.argv = ['hubline', 'convert', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        print(end.code)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "in")], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-5:] == ["2", "2", "2", "2", "False"], ran.stderr
    assert ran.stdout.count("Example: hubline convert") == 6


# hubline init


def test_init_makes_a_file_of_converted_images(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    converted(from_images.in_folders(photos), tmp_path)
    hub_modules.mean_colour(Path("module"))
    outcome = init("out", None, "module", Path("pipeline.yaml"), False, Console(quiet=True))
    assert outcome["features"] == {"image": {"kind": "image", "size": [8, 8]}}
    assert outcome["label"] == {"from": "label", "kind": "class", "classes": ["cat", "dog"]}
    assert list(outcome["left_out"]) == ["file"]
    pipeline, _ = load(Path("pipeline.yaml"))
    assert list(pipeline.features) == ["image"]


@pytest.mark.parametrize("in_steps", [False, True])
def test_init_makes_a_file_of_converted_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_steps: bool) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        for frame in range(2 + number):
            label = ("jump", "walk")[number % 2]
            write(Path("in"), **{f"{label}__{number}__{frame}_png": example_data.random_image(10 * number + frame)})
    converted(from_video.in_folders(Path("in"), Frames(), sequence_examples=in_steps), tmp_path)
    takes = tf.TensorSpec([None, 4, 8, 8, 3], tf.float32)
    hub_modules.module(Path("module"), takes, lambda clips: tf.reduce_mean(clips, [2, 3, 4]))
    outcome = init("out", None, "module", Path("pipeline.yaml"), False, Console(quiet=True))
    assert outcome["features"] == {"frames": {"kind": "video", "frames": 4, "size": [8, 8]}}
    assert outcome["label"] == {"from": "label", "kind": "class", "classes": ["jump", "walk"]}
    pipeline, _ = load(Path("pipeline.yaml"))
    # What was written is what the feature reads.
    records = flattened(tf.constant(example_data.read_tfrecord(next(Path("out").iterdir()))))
    parsed = tf.io.parse_example(records, {"frames": tf.io.VarLenFeature(tf.string)})
    clips = pixels_of_batch(pipeline.features, encoded_images(pipeline.features, parsed))["frames"]
    assert clips.shape == (8, 4, 8, 8, 3) and len({clip.numpy().tobytes() for clip in clips}) == 8


def test_init_makes_a_file_of_converted_texts_without_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(30):
        label = ("bad", "good")[number % 2]
        write(Path("in"), **{f"{label}__my {label} review no {number}_txt": f"it was a {label} film {number}".encode()})
    converted(from_text.in_folders(Path("in")), tmp_path)
    outcome = init("out", None, None, Path("pipeline.yaml"), False, Console(quiet=True))
    # Words of a file's name would tell its class.
    assert list(outcome["features"]) == ["text"] and list(outcome["left_out"]) == ["file"]
    load(Path("pipeline.yaml"))
