"""The data profile of `hubline init`, compared with pandas."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from hubline.core.errors import DataError, UserError
from hubline.pipeline.init import sample
from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.pipeline.init.profile import describe, look
from tests.support.example_data import feature, image_bytes, random_image, record, sequence, write_tfrecord

SILENT = Console(file=io.StringIO())


def described(records: list[bytes]) -> dict[str, ColumnProfile]:
    return {each.name: each for each in describe(ExamplesToRecordBatchDecoder().DecodeBatch(records))}


def test_what_is_seen_of_numbers_is_what_pandas_says() -> None:
    values = pd.Series(np.random.default_rng(0).exponential(30, 2000).astype(np.float32))
    floats = [record(x=float(value), n=int(value)) for value in values]
    with_gaps = [*floats, record(x=float("nan")), record(x=float("inf")), record(n=3), record(x=feature(1.0), n=-1)]
    x, n = (described(with_gaps)[name] for name in "xn")
    values = pd.concat([values, pd.Series([1.0])]).astype(np.float64)
    assert (x.type, x.records, x.present, x.values, x.distinct) == ("float", 2004, 2001, 2001, values.nunique())
    assert x.numbers is not None and n.numbers is not None
    assert x.missing == pytest.approx(3 / 2004)
    assert (x.numbers.minimum, x.numbers.maximum) == (values.min(), values.max())
    assert x.numbers.mean == pytest.approx(values.mean())
    assert x.numbers.deviation == pytest.approx(values.std(ddof=0))
    assert x.numbers.median == pytest.approx(values.median(), rel=0.05)
    assert x.numbers.skewness == pytest.approx(values.skew(), rel=0.01)
    assert (n.type, n.present, n.numbers.minimum) == ("integer", 2002, -1)
    assert n.frequent[0] == (0, max(n.frequent, key=lambda pair: pair[1])[1])


def test_what_is_seen_of_texts_bytes_and_lists() -> None:
    records = [
        record(text="a fine day", picture=random_image(1), raw=b"\xff\xfe", tags=feature("x", "y"), brand="BMW"),
        record(text="a fine day", picture=random_image(2, form="JPEG"), raw=b"\x00", tags=feature("x"), brand="BMX"),
        record(text="", picture=random_image(3, form="BMP"), raw=b"ab", brand="BM", empty=feature("")),
        record(text="rain", list=feature(1.0, 2.0), brand="BM"),
    ]
    seen = described(records)
    assert {name: each.type for name, each in seen.items()} == {
        "text": "text",
        "picture": "image",
        "raw": "bytes",
        "tags": "text",
        "brand": "text",
        "list": "float",
        "empty": "nothing",
    }
    text, tags = seen["text"], seen["tags"]
    assert (text.present, text.distinct, text.frequent) == (3, 2, (("a fine day", 2), ("rain", 1)))
    assert text.words == pytest.approx(7 / 3)
    assert (tags.fewest, tags.most, tags.values, tags.is_single) == (1, 2, 3, False)
    assert (seen["list"].fewest, seen["list"].most) == (2, 2)
    assert (seen["picture"].distinct, seen["picture"].missing) == (3, 0.25)


def test_dates_are_known_by_their_form() -> None:
    day = 86_400
    records = [
        record(
            born=day * (9000 + n),
            lasted=day * (1 + n),
            seen=day * 19_000 + n,
            iso=f"2024-05-{n + 1:02}",
            iso_time=f"2024-05-{n + 1:02}T10:30:00Z",
            once=day * 19_000,
            word=f"2024-05-{n + 1:02}" if n else "soon",
        )
        for n in range(20)
    ]
    seen = described(records)
    assert {name for name, each in seen.items() if each.is_date} == {"born", "iso", "iso_time"}
    assert {name for name, each in seen.items() if each.is_date and each.has_times} == {"iso_time"}
    told = {each.name: each for each in describe(ExamplesToRecordBatchDecoder().DecodeBatch(records), {"seen"})}
    assert told["seen"].is_date and told["seen"].has_times and not told["lasted"].is_date


@pytest.mark.slow
def test_looks_at_all_of_little_data_and_at_some_of_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write_tfrecord(tmp_path / f"{name}.tfrecord", [record(x=i) for i in range(100)]) for name in range(10)]
    write_tfrecord(tmp_path / "sequence.gz", [sequence(record(x=7))], "GZIP")
    whole = look(str(tmp_path), SILENT)
    assert (whole.files, whole.records, whole.total, whole.is_whole) == (11, 1001, 1001, True)
    monkeypatch.setattr(sample, "RECORDS", 200)
    some = look(str(tmp_path / "*.tfrecord"), SILENT)
    assert (some.records, some.is_whole) == (200, False) and some.total == pytest.approx(1000, rel=0.05)
    monkeypatch.setattr(sample, "FILES", 5)
    fewer = look(str(tmp_path / "*.tfrecord"), SILENT)
    assert (fewer.files, fewer.records, fewer.is_whole) == (10, 200, False)
    monkeypatch.setattr(sample, "RECORDS", 10**6)
    assert look(str(tmp_path / "*.tfrecord"), SILENT).records == 500
    monkeypatch.setattr(sample, "BYTES", 5 * 300)
    assert look(str(files[0]), SILENT).records == 100  # a batch is read to its end


def test_a_span_pattern_is_looked_at_too(tmp_path: Path) -> None:
    for span in (1, 2):
        write_tfrecord(tmp_path / f"span-{span}" / "a", [record(x=span)])
    (seen,) = look(str(tmp_path / "span-{SPAN}" / "*"), SILENT).columns
    assert seen.frequent == ((1, 1), (2, 1))


def test_feature_lists_are_looked_at_as_columns(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a", [sequence(record(x=1), steps) for steps in (1, 3)])
    seen = {column.name: column for column in look(str(tmp_path / "a"), SILENT).columns}
    assert set(seen) == {"x", "steps"} and (seen["steps"].fewest, seen["steps"].most) == (1, 3)


def test_what_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a" / "1", [record(x=1)] * 3)
    bad = write_tfrecord(tmp_path / "a" / "2", [record(x=1), record(x=1.5)])
    with pytest.raises(DataError, match=f"{bad}: record 1 .* another type .*expected int64_list, found float_list"):
        look(str(tmp_path / "a"), SILENT)
    junk = write_tfrecord(tmp_path / "b" / "1", [record(x=1), b"junk"])
    with pytest.raises(DataError, match=f"{junk}: record 1 .* is no tf.Example"):
        look(str(tmp_path / "b"), SILENT)
    (tmp_path / "c").write_bytes(bad.read_bytes()[:-3])
    with pytest.raises(DataError, match=f"{tmp_path}/c: record 1 .* truncated"):
        look(str(tmp_path / "c"), SILENT)
    write_tfrecord(tmp_path / "d", [])
    with pytest.raises(DataError, match="no records"):
        look(str(tmp_path / "d"), SILENT)
    with pytest.raises(UserError, match="no files matched"):
        look(str(tmp_path / "nowhere"), SILENT)


def test_a_few_broken_images_leave_a_column_of_images(tmp_path: Path) -> None:
    rows = [record(photo=random_image(n, 8, 8), clip=feature(random_image(n), random_image(n + 1))) for n in range(60)]
    rows[17] = record(photo=b"\xff\xfe no image", clip=feature(b"\xff", b"\xfe"))
    rows[40] = record(photo=b"\x89PNG is cut", clip=feature(random_image(1), b"\xff"))
    rows[41] = record(photo="")
    path = write_tfrecord(tmp_path / "a", rows)
    clip, photo = look(str(path), SILENT).columns
    assert (photo.type, photo.broken, photo.broken_place) == ("image", 2, f"{path}: record 17 (counted from 0)")
    assert photo.pictures is not None and (photo.pictures.height, photo.pictures.is_one_size) == (8, True)
    assert photo.unusable == pytest.approx(3 / 60)
    assert (clip.type, clip.broken, clip.most) == ("image", 2, 2)
    half = described([record(raw=random_image(n) if n % 2 else b"\xff") for n in range(10)])
    assert half["raw"].type == "bytes" and half["raw"].broken == 0


def test_a_mask_that_is_broken_hides_no_other() -> None:
    rows = [record(mask=image_bytes(np.full([4, 4], n % 3, np.uint8))) for n in range(9)]
    mask = described([*rows, record(mask=b"\xff")])["mask"]
    assert mask.pictures is not None and mask.pictures.values == (0, 1, 2) and mask.broken == 1


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "a", [record(x=1), record(x=2)])
    bad = write_tfrecord(tmp_path / "b", [record(x=1), record(**{"x": 2, "x\0z": 3})])
    with pytest.raises(DataError, match=rf"{bad}: record 1 .* has a column 'x\\x00z', whose name contains a zero byte"):
        look(str(tmp_path), SILENT)
    write_tfrecord(tmp_path / "c" / "a", [record(**{"x\0z": b"x\0z"})])
    with pytest.raises(DataError, match=r"c/a: record 0 .* has a column 'x\\x00z'"):
        look(str(tmp_path / "c"), SILENT)
    assert look(str(write_tfrecord(tmp_path / "d", [record(x=b"x\0z")])), SILENT).columns[0].name == "x"
