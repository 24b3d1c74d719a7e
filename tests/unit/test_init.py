"""`hubline init`: what is seen of data, what is suggested by it, and that the file it writes is right."""

import importlib.util
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from ruamel.yaml import YAML
from sklearn.metrics import f1_score
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder
from typer.testing import CliRunner

from hubline.core.errors import DataError, UserError
from hubline.pipeline.cli import app
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.init import profile as looking
from hubline.pipeline.init.column_profile import Column, Data, Module, Numbers
from hubline.pipeline.init.command import init
from hubline.pipeline.init.kinds import kinds
from hubline.pipeline.init.label import label_column, suggest_label
from hubline.pipeline.init.profile import describe, look
from hubline.pipeline.init.suggest import suggest
from hubline.pipeline.init.write import as_yaml, text_of
from hubline.pipeline.load import load
from hubline.pipeline.preflight import preflight
from tests.support.example_data import feature, labelled, random_image, record, sequence, write_tfrecord
from tests.support.hub_modules import mean_colour

SILENT = Console(file=io.StringIO())


def numbers(minimum: float, maximum: float, skewness: float = 0.0) -> Numbers:
    middle = (minimum + maximum) / 2
    return Numbers(minimum, mean=middle, median=middle, maximum=maximum, deviation=1.0, skewness=skewness)


def column(type: str = "float", name: str = "it", distinct: int = 500, present: int = 1000, **rest: Any) -> Column:
    """A column of 1,000 records, by default of floats from -1 to 1."""
    seen: dict[str, Any] = {"values": present, "frequent": (("a", 3), ("b", 2)) if type == "text" else ((1, 3), (2, 2))}
    seen |= {"numbers": numbers(-1, 1)} if type in ("integer", "float") else {}
    return Column(name=name, type=type, records=1000, present=present, distinct=distinct, **(seen | rest))  # type: ignore[arg-type]


def data(*columns: Column, **rest: Any) -> Data:
    return Data(columns, **({"files": 1, "records": 1000, "total": 1000, "is_whole": True} | rest))


def hashed(buckets: int, embedding: int) -> dict[str, Any]:
    return {"kind": "categorical", "hash_buckets": buckets, "encode": {"embedding": embedding}}


def parts(unit: str) -> dict[str, Any]:
    return {f"_{part}": {"kind": "timestamp", "part": part, "unit": unit} for part in ("hour", "weekday")}


COMPUTED = {"kind": "categorical", "vocabulary": "computed", "encode": "one_hot"}
Z_SCORE = {"kind": "numeric", "normalize": "z_score"}
LOG = {"kind": "numeric", "normalize": "log1p"}
BAG = {"kind": "text", "bag": {"vocabulary": {"top_k": 10_000}}, "encode": "multi_hot"}
TOLD = {"missing_indicator": True}
LABEL = column("integer", "label", distinct=2, frequent=((0, 700), (1, 300)), numbers=numbers(0, 1))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (column(), {"": Z_SCORE}),
        (column(distinct=2), {"": Z_SCORE}),
        (column(numbers=numbers(0, 100, skewness=2.1)), {"": LOG}),
        (column(numbers=numbers(0, 100, skewness=1.9)), {"": Z_SCORE}),
        (column(numbers=numbers(-0.1, 100, skewness=5)), {"": Z_SCORE}),
        (column(numbers=numbers(0, 9, skewness=5)), {"": Z_SCORE}),
        (column(present=995), {"": Z_SCORE | {"missing": "mean"}}),
        (column(present=900), {"": Z_SCORE | {"missing": "mean"} | TOLD}),
        (column(present=900, numbers=numbers(0, 100, skewness=9)), {"": LOG | {"missing": "median"} | TOLD}),
        (column(fewest=4, most=4), {"": Z_SCORE | {"length": 4}}),
        (
            column("integer", distinct=24, numbers=numbers(0, 23)),
            {"": {"kind": "categorical", "identity": 24, "encode": "one_hot"}},
        ),
        (column("integer", distinct=23, numbers=numbers(0, 23)), {"": COMPUTED}),
        (column("integer", distinct=12, numbers=numbers(1, 12)), {"": COMPUTED}),
        (column("integer", distinct=100, numbers=numbers(1, 200)), {"": COMPUTED}),
        (column("integer", distinct=100, numbers=numbers(1, 201)), {"": Z_SCORE}),
        (column("integer", distinct=20, numbers=numbers(1, 50_000)), {"": COMPUTED}),
        (column("integer", distinct=101, numbers=numbers(1, 150)), {"": Z_SCORE}),
        (column("integer", distinct=91, present=900), {"": Z_SCORE | {"missing": "mean"} | TOLD}),
        (column("integer", distinct=300, numbers=numbers(0, 5000, skewness=3)), {"": LOG}),
        (column("integer", distinct=300, numbers=numbers(2**24, 2**25)), {"": hashed(1024, 4)}),
        (column("integer", distinct=300, numbers=numbers(1, 999), fewest=1, most=3), {"": hashed(1024, 4)}),
        (column("integer", distinct=1000, numbers=numbers(0, 90_000)), {"": Z_SCORE}),
        (column("integer", distinct=999, numbers=numbers(1e9, 2e9)), parts("seconds")),
        (column("integer", distinct=999, numbers=numbers(1.7e12, 1.8e12)), parts("milliseconds")),
        (column("integer", distinct=999, numbers=numbers(1.7e15, 1.8e15)), parts("microseconds")),
        (column("integer", distinct=300, numbers=numbers(1e9 - 1, 2e9)), {"": hashed(1024, 4)}),
        (column("text", distinct=3), {"": COMPUTED}),
        (column("text", distinct=3, most=5), {"": COMPUTED | {"encode": "multi_hot"}}),
        (column("text", distinct=101), {"": hashed(256, 3)}),
        (column("text", distinct=513), {"": hashed(2048, 5)}),
        (column("text", distinct=1000, words=4.0), {"": BAG}),
        (column("text", distinct=500, words=3.9), {"": hashed(1024, 5)}),
        (column("image", distinct=1000, frequent=()), {"": {"kind": "image", "size": [224, 224]}}),
        (column("image", fewest=3, most=9), {"": {"kind": "video", "frames": 9, "size": [224, 224]}}),
        (column("image", most=300), {"": {"kind": "video", "frames": 16, "size": [224, 224]}}),
    ],
)  # fmt: skip
def test_a_kind_for_a_column(seen: Column, expected: dict[str, Any]) -> None:
    assert kinds(seen) == expected


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (column("nothing", present=0, distinct=0), "no record has a value"),
        (column("bytes"), "neither text nor a JPEG"),
        (column("text", distinct=1), "constant: 'a'"),
        (column(distinct=1, present=10), "constant: 1, or missing"),
        (column("text", distinct=950, words=1.0), "like an identifier: 950 different texts among 1,000"),
        (column("integer", distinct=1000, numbers=numbers(5, 1500)), "like an identifier"),
        (column("integer", "trip_id", distinct=1000, numbers=numbers(0, 90_000)), "like an identifier"),
        (column("integer", "tripId", distinct=1000, numbers=numbers(0, 90_000)), "like an identifier"),
        (column("integer", distinct=1000, numbers=numbers(3e9, 9e18)), "like an identifier"),
        (column(fewest=1, most=7), "from 1 to 7 numbers in a record"),
        (column(name=""), "its name is empty"),
    ],
)
def test_why_a_column_is_left_out(seen: Column, reason: str) -> None:
    said = kinds(seen)
    assert isinstance(said, str) and reason in said


@pytest.mark.parametrize(
    ("seen", "is_whole", "expected"),
    [
        (LABEL, True, {"kind": "binary"}),
        (column(distinct=2, frequent=((1.0, 600), (0.0, 400))), True, {"kind": "binary"}),
        (column("text", distinct=2), True, {"kind": "class", "classes": ["a", "b"]}),
        (column("text", distinct=2), False, {"kind": "class"}),
        (column("text", distinct=21), True, {"kind": "class"}),
        (
            column("integer", distinct=3, frequent=((2, 500), (0, 300), (1, 200))),
            True,
            {"kind": "class", "classes": ["0", "1", "2"]},
        ),
        (column("integer", distinct=3, frequent=((1, 500), (2, 300), (3, 200))), True, {"kind": "class"}),
        (
            column("integer", distinct=101, numbers=numbers(0, 300)),
            True,
            {"kind": "regression", "normalize": "z_score"},
        ),
        (column(numbers=numbers(0, 8.1)), True, {"kind": "regression", "normalize": "z_score"}),
        (column(numbers=numbers(0, 8.1, skewness=9)), True, {"kind": "regression", "normalize": "z_score"}),
        (column(numbers=numbers(0.1, 8.1, skewness=1.9)), False, {"kind": "regression", "normalize": "z_score"}),
        (column(numbers=numbers(0.1, 8.1, skewness=2.1)), False, {"kind": "regression", "normalize": "log"}),
        (
            column("integer", distinct=1000, numbers=numbers(1, 9e5, skewness=9)),
            True,
            {"kind": "regression", "normalize": "log"},
        ),
        (column("text", distinct=2, most=2), True, {"kind": "multilabel", "classes": ["a", "b"]}),
        (column("text", distinct=2, most=2), False, {"kind": "multilabel"}),
        (column("integer", distinct=300, most=9), True, {"kind": "multilabel"}),
        (
            column("integer", distinct=2, most=2, frequent=((0, 9), (1, 4))),
            True,
            {"kind": "multilabel", "classes": ["0", "1"]},
        ),
    ],
)
def test_a_kind_for_the_label(seen: Column, is_whole: bool, expected: dict[str, Any]) -> None:
    assert suggest_label(seen, is_whole).settings == {"from": seen.name, **expected}


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (column("image"), "has images"),
        (column("bytes"), "bytes that are no text"),
        (column("nothing", present=0), "no value in any record"),
        (column(most=2), "up to 2 numbers in a record; a label has one, or several texts or whole numbers"),
        (column("text", distinct=1000, most=2), "comes once"),
        (column("integer", distinct=2, fewest=5, most=5, frequent=((0, 9), (1, 4))), "5 zeros and ones in each record"),
        (column("text", distinct=1), "'a' everywhere"),
        (column("text", distinct=1000), "comes once"),
    ],
)
def test_what_is_no_label_is_refused(seen: Column, says: str) -> None:
    with pytest.raises(UserError, match=says):
        suggest_label(seen, is_whole=True)


def test_the_label_is_known_by_its_name() -> None:
    columns = [column(name=name) for name in ("a", "Target", "b")]
    assert label_column(columns, None).name == "Target"
    assert label_column(columns, "b").name == "b"
    with pytest.raises(UserError, match="no column 'c'; the columns are: a, Target, b"):
        label_column(columns, "c")
    with pytest.raises(UserError, match="say --label COLUMN; the columns are: a, b"):
        label_column([columns[0], columns[2]], None)
    with pytest.raises(UserError, match="Target and y could be the label"):
        label_column([*columns, column(name="y")], None)


def test_the_most_frequent_class_is_what_a_model_is_compared_with() -> None:
    assert "always saying 0" in suggest_label(LABEL, True).baseline and "70.0%" in suggest_label(LABEL, True).baseline


@pytest.mark.parametrize(
    ("latitude", "longitude", "place"),
    [
        ("latitude", "longitude", "place"),
        ("pickup_lat", "pickup_lon", "pickup_place"),
        ("LAT_start", "LNG_start", "place_start"),
    ],
)
def test_latitude_and_longitude_are_crossed(latitude: str, longitude: str, place: str) -> None:
    found = suggest(data(column(name=latitude), column(name=longitude), LABEL))
    by_name = {each.name: each.settings for each in found.features}
    buckets = [f"{latitude}_bucket", f"{longitude}_bucket"]
    for source, bucket in zip((latitude, longitude), buckets, strict=True):
        assert by_name[bucket] == {"kind": "bucketized", "from": source, "buckets": 10, "encode": "none"}
    assert by_name[place] == {"kind": "crossed", "of": buckets, "hash_buckets": 200}
    assert found.wide == [place] and len(by_name) == 3
    assert not found.hidden  # nothing is left for a deep part


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (column(name="pickup_lat"), column(name="dropoff_lon")),
        (column(name="flat"), column(name="flon")),
        (column(name="lat", numbers=numbers(0, 300)), column(name="lon")),
        (column("integer", name="lat"), column(name="lon")),
    ],
)
def test_what_is_no_place_is_not_crossed(first: Column, second: Column) -> None:
    assert not suggest(data(first, second, LABEL)).wide


def test_each_feature_has_a_name_that_means_only_its_own_column() -> None:
    time = column("integer", "ts", distinct=900, numbers=numbers(1e9, 2e9))
    found = suggest(data(time, column(name="ts_hour"), column(name="2nd try"), LABEL))
    assert {each.name: each.settings.get("from") for each in found.features} == {
        "ts_hour_2": "ts",
        "ts_weekday": "ts",
        "ts_hour": None,
        "column_2nd_try": "2nd try",
    }
    twins = suggest(data(column(name="a-b"), column(name="a_b"), LABEL))
    assert sorted(each.settings.get("from") or each.name for each in twins.features) == ["a-b", "a_b"]
    assert len({each.name for each in twins.features}) == 2


def test_a_module_is_fed_and_without_one_images_wait() -> None:
    photo, title = column("image", "photo", frequent=(), present=990), column("text", "title", distinct=1000, words=9.0)
    module = Module("net", input="pixels", takes="image", size=(96, 64), channels=1)
    with_module = suggest(data(photo, title, LABEL), module=module)
    assert with_module.hubs == {"photo_module": {"handle": "net", "inputs": {"pixels": "photo"}}}
    assert with_module.features[0].settings == {"kind": "image", "size": [96, 64], "channels": 1}
    assert with_module.bad_records == {"policy": "quarantine", "max_fraction": 0.02}  # 1 % of the images are missing
    without = suggest(data(photo, title, LABEL))
    assert [each.name for each in without.homeless] == ["photo"] and not without.hubs and without.bad_records is None
    texts = suggest(data(photo, title, LABEL), module=replace(module, takes="text", output="vector"))
    assert texts.hubs == {"title_module": {"handle": "net", "inputs": {"pixels": "title"}, "output": "vector"}}
    assert [each.settings for each in texts.features] == [{"kind": "text"}]
    with pytest.raises(UserError, match="takes images, and no column holds any"):
        suggest(data(title, LABEL), module=module)
    with pytest.raises(UserError, match=r"only images \(photo\).*--hub HANDLE"):
        suggest(data(photo, LABEL))
    with pytest.raises(UserError, match="left to learn from\n  it: constant: 1"):
        suggest(data(column(distinct=1), LABEL))


def test_clips_feed_a_module_of_clips_or_of_images() -> None:
    film = column("image", "film", frequent=(), fewest=5, most=40)
    clips = Module("net", input="x", takes="video", size=(96, 64), channels=1, frames=8)
    of_clips = suggest(data(film, LABEL), module=clips)
    assert of_clips.features[0].settings == {"kind": "video", "frames": 8, "size": [96, 64], "channels": 1}
    assert of_clips.hubs == {"film_module": {"handle": "net", "inputs": {"x": "film"}}}
    of_images = suggest(data(film, LABEL), module=replace(clips, takes="image", frames=None))
    assert of_images.features[0].settings == {"kind": "video", "frames": 16, "size": [96, 64], "channels": 1}
    assert of_images.hubs == {"film_module": {"handle": "net", "inputs": {"x": "film"}, "pool": "mean"}}
    with pytest.raises(UserError, match=r"only images and clips \(film, photo\).*--hub HANDLE"):
        suggest(data(film, column("image", "photo", frequent=()), LABEL))
    with pytest.raises(UserError, match="takes clips, and no column holds any"):
        suggest(data(column("image", "photo", frequent=()), LABEL), module=clips)


def test_missing_labels_are_set_aside() -> None:
    found = suggest(data(column(), replace(LABEL, present=800)))
    assert found.bad_records == {"policy": "quarantine", "max_fraction": 0.3}
    several = column("text", "label", distinct=2, most=3, present=800)
    assert suggest(data(column(), several)).bad_records is None  # a record may have none of them


def test_training_goes_by_the_number_of_records() -> None:
    sizes = [suggest(data(column(), LABEL, total=total)).training for total in (100, 5_000, 50_000, 500_000, 10**8)]
    assert [size["batch_size"] for size in sizes] == [16, 32, 128, 512, 2048]
    assert [size["epochs"] for size in sizes] == sorted((size["epochs"] for size in sizes), reverse=True)
    assert [size["early_stopping"] for size in sizes] == [8, 5, 3, 2, 2]


WORD = st.text(min_size=1, max_size=50) | st.sampled_from(["null", "True", "no", "1e3", "- a", "a: b", "# c", "{SPAN}"])
ANY_COLUMN = st.builds(
    column,
    st.sampled_from(["integer", "float", "text", "image", "bytes", "nothing"]),
    name=WORD,
    distinct=st.sampled_from([1, 2, 50, 500, 1000]),
    most=st.sampled_from([1, 3]),
    words=st.sampled_from([1.0, 9.0]),
    frequent=st.tuples(st.tuples(WORD, st.just(9)), st.tuples(WORD, st.just(5))),
)


@settings(deadline=None, max_examples=60)
@given(
    columns=st.lists(ANY_COLUMN, max_size=5, unique_by=lambda each: each.name),
    label=st.text(min_size=1, max_size=20),
    classes=st.lists(WORD, min_size=2, max_size=5, unique=True),
    examples=WORD,
    is_whole=st.booleans(),
)
def test_whatever_the_names_and_values_the_file_says_what_was_suggested(
    columns: list[Column], label: str, classes: list[str], examples: str, is_whole: bool
) -> None:
    target = column("text", label, distinct=len(classes), frequent=tuple((each, 100) for each in classes))
    others = [each for each in columns if each.name != label]
    seen = data(*others, column(name="plain") if label != "plain" else column(name="other"), target, is_whole=is_whole)
    seen = replace(seen, columns=tuple({each.name: each for each in seen.columns}.values()))
    found = suggest(seen, label=label)
    values = YAML(typ="safe", pure=True).load(text_of(found, seen, examples="data", name="some"))
    file = PipelineFile.model_validate(values)
    assert values["features"] == {each.name: each.settings for each in found.features}
    assert values["label"] == found.label.settings
    assert file.model.wide == tuple(found.wide)
    assert YAML(typ="safe", pure=True).load(as_yaml(examples)) == examples


def described(records: list[bytes]) -> dict[str, Column]:
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


def test_looks_at_all_of_little_data_and_at_some_of_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [write_tfrecord(tmp_path / f"{name}.tfrecord", [record(x=i) for i in range(100)]) for name in range(10)]
    write_tfrecord(tmp_path / "sequence.gz", [sequence(record(x=7))], "GZIP")
    whole = look(str(tmp_path), SILENT)
    assert (whole.files, whole.records, whole.total, whole.is_whole) == (11, 1001, 1001, True)
    monkeypatch.setattr(looking, "RECORDS", 200)
    some = look(str(tmp_path / "*.tfrecord"), SILENT)
    assert (some.records, some.is_whole) == (200, False) and some.total == pytest.approx(1000, rel=0.05)
    monkeypatch.setattr(looking, "FILES", 5)
    fewer = look(str(tmp_path / "*.tfrecord"), SILENT)
    assert (fewer.files, fewer.records, fewer.is_whole) == (10, 200, False)
    monkeypatch.setattr(looking, "RECORDS", 10**6)
    assert look(str(tmp_path / "*.tfrecord"), SILENT).records == 500
    monkeypatch.setattr(looking, "BYTES", 5 * 300)
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


def passes_check(path: Path) -> PipelineFile:
    file, source = load(path)
    preflight(file, source)
    return file


def tabular(count: int = 300) -> list[bytes]:
    rng = np.random.default_rng(1)
    return [
        record(
            id=number,
            price=float(rng.lognormal(3, 2)),
            hour=int(rng.integers(0, 24)),
            colour=str(rng.choice(["red", "green"])),
            when=int(1.6e9 + number * 4321),
            lat=float(rng.normal(41, 1)),
            lon=float(rng.normal(-87, 1)),
            label=int(rng.integers(0, 2)),
            **({"note": f"what a very fine day number {number}"} if number % 5 else {}),
        )
        for number in range(count)
    ]


def test_init_writes_a_file_that_check_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my {1} taxi").mkdir()
    monkeypatch.chdir(tmp_path / "my {1} taxi")
    write_tfrecord(Path("data/a.tfrecord"), tabular())
    done = CliRunner().invoke(app, ["init", "data", "--json"])
    said = json.loads(done.stdout.splitlines()[-1])
    assert (done.exit_code, said["status"], said["records"], said["sampled"]) == (0, "succeeded", 300, False)
    assert said["left_out"].keys() == {"id"}
    checked = CliRunner().invoke(app, ["check", "pipeline.yaml"])
    assert checked.exit_code == 0, checked.output
    text = Path("pipeline.yaml").read_text()
    file = passes_check(Path("pipeline.yaml"))
    assert file.name == "my-1-taxi" and "examples: data\n" in text
    assert {name: each.kind for name, each in file.features.items()} == {
        "price": "numeric",
        "hour": "categorical",
        "colour": "categorical",
        "when_hour": "timestamp",
        "when_weekday": "timestamp",
        "lat_bucket": "bucketized",
        "lon_bucket": "bucketized",
        "place": "crossed",
        "note": "text",
    }
    assert "20.0% missing" in text and "'green'" in text
    assert max(map(len, text.splitlines())) <= 120
    assert not list(Path().glob(".pipeline*"))


def test_init_of_records_with_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tags = rng.random([100, 3]) < [0.6, 0.3, 0.1]
    names = [[name for name, has in zip(("sea", "sky", "sand"), row, strict=True) if has] for row in tags]
    records = [record(x=n / 7, **({"tags": feature(*row)} if row else {})) for n, row in enumerate(names)]
    write_tfrecord(tmp_path / "data" / "a", records)
    init(str(tmp_path / "data"), "tags", None, tmp_path / "pipeline.yaml", False, SILENT)
    file, text = passes_check(tmp_path / "pipeline.yaml"), (tmp_path / "pipeline.yaml").read_text()
    assert file.label.kind == "multilabel" and file.label.classes == ("sand", "sea", "sky")
    assert file.evaluation.thresholds.keys() == {"f1"} and file.data.bad_records.policy == "fail"
    always_sea = f1_score(tags, np.tile([True, False, False], [100, 1]), average="micro")
    assert f"always saying 'sea' alone, the most frequent class, has an f1 of {always_sea:.3f}" in text


@pytest.mark.parametrize("where", ["", "elsewhere/deep"])
@pytest.mark.parametrize("given", ["data/*.tfrecord", "data/a.tfrecord", "data", "{absolute}/data"])
def test_the_examples_count_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, given: str
) -> None:
    root = tmp_path / "of {SPAN} x*"
    (root / where).mkdir(parents=True)
    write_tfrecord(root / "data" / "a.tfrecord", [record(x=float(n), label=n % 2) for n in range(20)])
    monkeypatch.chdir(root)
    output = Path(where, "pipeline.yaml")
    init(given.format(absolute=root), None, None, output, False, SILENT)
    monkeypatch.chdir(tmp_path)
    passes_check(root / output)


def test_a_quantity_is_learned_as_a_number(tmp_path: Path) -> None:
    prices = np.random.default_rng(0).lognormal(9, 1, 300)
    write_tfrecord(tmp_path / "data" / "a", [record(x=n / 7, price=float(price)) for n, price in enumerate(prices)])
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), "price", None, output, False, SILENT)
    file = passes_check(output)
    assert (file.label.kind, file.label.normalize) == ("regression", "log")
    assert file.evaluation.metrics == ("rmse", "mae", "r2")
    threshold = file.evaluation.thresholds["rmse"].no_worse_than_serving_by
    assert threshold == pytest.approx(0.01 * prices.std(), rel=0.05)
    said = f"always saying the mean, {prices.mean():.4g}, is off by an rmse of {prices.std():.4g}"
    assert said in " ".join(output.read_text().split())


def test_init_with_a_module(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", labelled(40))
    mean_colour(tmp_path / "module")
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), None, str(tmp_path / "module"), output, False, SILENT)
    file = passes_check(output)
    assert file.features["image"].size == (8, 8) and file.hubs["image_module"].inputs == {"images": "image"}
    assert "handle: module," in output.read_text()


def boxed(count: int, several: bool = False) -> list[bytes]:
    """Records as `hubline convert boxes` writes them."""
    found = []
    for number in range(count):
        times = 2 if several and number == 3 else 1
        labels, boxes = (
            feature(*(["cat", "dog"][number % 2 : number % 2 + 1] * times)),
            feature(*[0.25, 0.0, 0.5, 1.0] * times),
        )
        columns = {"image": random_image(number), "file": f"{number}.png", "height": 8 + number % 3, "width": 8}
        found.append(record(boxes=boxes, box_labels=labels, **columns))
    return found


def test_a_box_in_each_picture_is_told_with_its_class(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", boxed(40))
    mean_colour(tmp_path / "module")
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), None, str(tmp_path / "module"), output, False, SILENT)
    file = passes_check(output)
    assert file.label.model_dump(by_alias=True, exclude_defaults=True) == {
        "kind": "class_and_box", "from": "box_labels", "box": "boxes", "image": "image", "classes": ("cat", "dog"),
    }  # fmt: skip
    assert file.features.keys() == {"image"}
    assert file.evaluation.thresholds.keys() == {"mean_iou"}


def test_of_several_boxes_in_a_picture_the_label_must_be_named(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", boxed(40, several=True))
    mean_colour(tmp_path / "module")
    with pytest.raises(UserError, match="say --label COLUMN"):
        init(str(tmp_path / "data"), None, str(tmp_path / "module"), tmp_path / "pipeline.yaml", False, SILENT)


def test_images_without_a_module_are_comments(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", [record(image=random_image(n), x=n / 7, label=n % 2) for n in range(20)])
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), None, None, output, False, SILENT)
    assert passes_check(output).features.keys() == {"x"}
    # What is commented out is right once the comments are taken away.
    text = output.read_text().replace("  # image:", "  image:").replace("# hubs:", "hubs:")
    values = YAML(typ="safe", pure=True).load(text.replace("#   image_module:", "  image_module:"))
    assert PipelineFile.model_validate(values).hubs["image_module"].inputs == {"images": "image"}


def test_init_overwrites_nothing_unless_told(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", [record(x=float(n), label=n % 2) for n in range(20)])
    output = tmp_path / "pipeline.yaml"
    output.write_text("mine")
    arguments = str(tmp_path / "data"), None, None, output
    with pytest.raises(UserError, match=r"it is there already.*--overwrite"):
        init(*arguments, False, SILENT)
    assert output.read_text() == "mine"
    init(*arguments, True, SILENT)
    passes_check(output)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (".", "this is a folder"),
        ("nowhere/p.yaml", "no such folder"),
        ("data/p.yaml", "every file in .* counts as data"),
    ],
)
def test_init_refuses_a_place_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, says: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        init("data", None, None, Path(output), False, SILENT)


def test_the_penguins(tmp_path: Path, shared_data: Path) -> None:
    rows = pd.read_csv(next((shared_data / "penguin" / "labelled").glob("*.csv")))
    write_tfrecord(
        tmp_path / "data" / "a",
        [record(**{k: int(v) if k == "species" else float(v) for k, v in row.items()}) for _, row in rows.iterrows()],
    )
    init(str(tmp_path / "data"), "species", None, tmp_path / "pipeline.yaml", False, SILENT)
    file = passes_check(tmp_path / "pipeline.yaml")
    assert file.label.class_names(None) == ["0", "1", "2"]  # type: ignore[arg-type]
    assert {each.kind for each in file.features.values()} == {"numeric"} and len(file.features) == 4


@pytest.mark.parametrize("label", ["tips", "payment_type"])
def test_the_taxis_of_tfx(tmp_path: Path, label: str) -> None:
    tfx = importlib.util.find_spec("tfx")
    assert tfx is not None and tfx.origin is not None
    taxis = Path(tfx.origin).parent / "components" / "testdata" / "csv_example_gen" / "Split-train"
    init(str(taxis), label, None, tmp_path / "pipeline.yaml", False, SILENT)
    file = passes_check(tmp_path / "pipeline.yaml")
    assert file.label.kind == {"tips": "regression", "payment_type": "class"}[label]
    assert file.features["trip_miles"].normalize == file.features["fare"].normalize == "log1p"
    assert file.features["trip_start_hour"].identity == 24
    assert file.features["trip_start_timestamp_weekday"].kind == "timestamp"
    assert set(file.model.wide) == {"pickup_place", "dropoff_place"}


def test_suggestions_need_no_tensorflow() -> None:
    program = (
        "import sys, hubline.pipeline.init.suggest, hubline.pipeline.init.write; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
