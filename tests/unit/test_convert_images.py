"""Converts images to records, with labels from folders or from a table."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from hubline.core.errors import UserError
from hubline.pipeline.convert import collect, from_images, from_text
from hubline.pipeline.convert.collection import Collection
from hubline.pipeline.convert.labels import read_labels
from tests.support import example_data
from tests.support.conversion import rows_of, types_of
from tests.support.files_to_convert import by_file, converted, pixels, saved, table, tiles, turned, write


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
    monkeypatch.setattr(collect, "BATCH_BYTES", 3000)
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
        collect.in_order(lambda item: begun.append(item) or -item, iter(range(100)), workers), start=1
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
    assert done.bad == ("a/y.tif: has 32-bit pixels (mode F), which PNG doesn't support",)


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
    "head_jpg": (b"\xff\xd8\xff\xe0", "is not an image: it starts with"),
    "empty_png": (b"", "the file is empty"),
    "notes_txt": (b"to do", "is not an image: it starts with b'to do'"),
}


@pytest.mark.slow
def test_bad_images_are_all_named_and_nothing_is_written(photos: Path, tmp_path: Path) -> None:
    write(
        photos, **{f"cat__{name}": data for name, (data, _) in BROKEN.items()}, stray_png=example_data.random_image(0)
    )
    (photos / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    (photos / "dog" / ".DS_Store").write_bytes(b"x")
    (photos / "dog" / "Thumbs.db").write_bytes(b"x")
    reasons = {f"cat/{name.replace('_', '.')}": reason for name, (_, reason) in BROKEN.items()}
    reasons["dog/gone.png"] = "cannot be read: No such file or directory"
    reasons["stray.png"] = "has no class, because it is not in one of the class folders"
    with pytest.raises(UserError) as error:
        converted(from_images.in_folders(photos), tmp_path)
    *lines, last = str(error.value).splitlines()
    assert last == "11 bad, 12 good; fix them, or skip them with --bad skip"
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
    with pytest.raises(UserError, match="2 bad, 0 good; there is nothing left"):
        converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip")
    write(tmp_path / "in", a__z_png=example_data.random_image(0))
    with pytest.raises(UserError, match="--shards 2: there are only 1 examples"):
        converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip", shards=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "in: there is no such folder"),
        ({"x_png": b""}, "in: contains no folders; expected one folder per class, containing images"),
        ({"a__b__x_png": b"", "c__x_png": b""}, "in/a: contains folders (b); did you mean to convert this folder?"),
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
    with pytest.raises(UserError, match=r"in: its folders \(none\) contain no images"):
        from_images.in_folders(tmp_path / "in")
    write(tmp_path / "in", a__x_png=example_data.random_image(0))
    assert converted(from_images.in_folders(tmp_path / "in"), tmp_path).notes == ("none: contains no images",)


def test_a_name_that_is_not_utf8_is_bad(tmp_path: Path) -> None:
    write(tmp_path / "in", a__x_png=example_data.random_image(0))
    Path(os.fsdecode(os.fsencode(tmp_path / "in" / "a") + b"/\xff.png")).write_bytes(example_data.random_image(1))
    done = converted(from_images.in_folders(tmp_path / "in"), tmp_path, "skip")
    assert done.bad == ("a/\ufffd.png: its name is not UTF-8",) and done.rows == 1


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four images in a folder and one in a subfolder."""
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
    assert done.notes == (f"1 files in {pictures} are not listed in {pictures}/labels.csv and are left out: 2.png",)


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
    text = "file,label\n1.png,a\n9.png,a\n2.png,\n../1.png,a\n/etc/passwd,b\ndeeper,b\nnull\0,b\n"
    done = converted(labelled(pictures, text), tmp_path, "skip")
    assert done.bad == (
        "9.png: cannot be read: No such file or directory",
        "2.png: has no label",
        "../1.png: the path '../1.png' leads out of the image folder",
        "/etc/passwd: the path '/etc/passwd' leads out of the image folder",
        "deeper: cannot be read: Is a directory",
        "null\0: 'null\\x00' is no path, because it contains a null character",
    )
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"1.png"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "labels.csv: the file is empty"),
        ("file,label\n", "labels.csv: contains no rows"),
        ("fiel,label\n1.png,a\n", "labels.csv: has no column 'file'; did you mean 'fiel'? known here: fiel"),
        ("file,class\n1.png,a\n", "labels.csv: has no column 'label'; known here: file, class; use --label"),
        ("file,label\n1.png,a\n,b\n", "labels.csv:3: names no file (1 such rows)"),
        ("file,label\n1.png,a\n1.png,b\n", "labels.csv: 1 files have more than one row (1.png); use one row per file"),
        ("file,label,image\n1.png,a,b\n", "the labels have a column 'image', which the conversion writes itself"),
        ("file,label\n1.png\n", "labels.csv:2: 1 cells, but there are 2 columns"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(pictures: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        labelled(pictures, text)
    assert str(error.value).replace(f"{pictures}/", "").startswith(said)


@pytest.mark.slow
def test_real_photographs(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "clothing" / "validation"
    done = converted(from_images.in_folders(folder), tmp_path, shards=3)
    found = by_file(tmp_path / "out")
    assert done.rows == len(found) == len(list(folder.glob("*/*"))) and len(done.classes) == 10
    assert all(row["image"] == [(folder / file).read_bytes()] for file, row in found.items())
    # Each file contains all classes, so that reading only its beginning is representative.
    assert len({row["label"][0] for row in rows_of(tmp_path / "out")[:80]}) == 10
