"""Suggestions of `hubline init` for profiled columns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hubline.core.errors import UserError
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput, ModuleProfile
from hubline.pipeline.init.kinds import kinds
from hubline.pipeline.init.label import label_name, suggest_label
from hubline.pipeline.init.networks import Networks
from hubline.pipeline.init.suggest import suggest
from hubline.pipeline.init.write import as_yaml, refuse_unreadable, text_of
from tests.support.column_profiles import column, data, numbers


def hashed(buckets: int, embedding: int) -> dict[str, Any]:
    return {"kind": "categorical", "hash_buckets": buckets, "encode": {"embedding": embedding}}


def parts(unit: str | None, *names: str) -> dict[str, Any]:
    of_unit = {"unit": unit} if unit else {}
    return {f"_{part}": {"kind": "timestamp", "part": part, **of_unit} for part in names or ("hour", "weekday")}


def common(embedding: int) -> dict[str, Any]:
    """The words that occur often, and one category for the others."""
    vocabulary = {"top_k": 10_000, "min_count": 5}
    return {"kind": "categorical", "vocabulary": vocabulary, "oov_buckets": 1, "encode": {"embedding": embedding}}


COMPUTED = {"kind": "categorical", "vocabulary": "computed", "encode": "one_hot"}
Z_SCORE = {"kind": "numeric", "normalize": "z_score"}
LOG = {"kind": "numeric", "normalize": "log1p"}
BAG = {"kind": "text", "bag": {"vocabulary": {"top_k": 10_000, "min_count": 5}}, "encode": "multi_hot"}
OFTEN = {"frequent": (("a", 10), ("b", 2))}
DAYS = numbers(-5e8, 5e8)
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
        (column("text", distinct=101, **OFTEN), {"": common(3)}),
        (column("text", distinct=513, **OFTEN), {"": common(5)}),
        (column("text", distinct=3, frequent=(("a", 900), ("b", 95), ("c", 4))), {
            "": {"kind": "categorical", "vocabulary": {"min_count": 5}, "oov_buckets": 1, "encode": "one_hot"}
        }),
        (column("text", distinct=3, frequent=(("a", 9), ("b", 5), ("c", 4))), {"": COMPUTED}),
        (column("text", distinct=500, is_date=True), {**parts(None)}),
        (column("text", distinct=500, is_date=True, has_times=False), parts(None, "weekday", "month")),
        (column("integer", distinct=500, numbers=DAYS, is_date=True), parts("seconds")),
        (column("integer", distinct=500, numbers=DAYS, is_date=True, has_times=False),
         parts("seconds", "weekday", "month")),
        (column("integer", distinct=1000, numbers=numbers(2e7, 9e7)), {"": Z_SCORE}),
        (column("text", distinct=1000, words=4.0), {"": BAG}),
        (column("text", distinct=900, present=900, words=4.0), {
            "": BAG | {"bag": {"vocabulary": {"top_k": 10_000, "min_count": 2}}}
        }),
        (column("text", distinct=500, words=3.9, **OFTEN), {"": common(5)}),
        (column("image", distinct=1000, frequent=()), {"": {"kind": "image", "size": [224, 224]}}),
        (column("image", fewest=3, most=9), {"": {"kind": "video", "frames": 9, "size": [224, 224]}}),
        (column("image", most=300), {"": {"kind": "video", "frames": 16, "size": [224, 224]}}),
    ],
)  # fmt: skip
def test_a_kind_for_a_column(seen: ColumnProfile, expected: dict[str, Any]) -> None:
    assert kinds(seen) == expected


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (column("nothing", present=0, distinct=0), "no record has a value"),
        (column("bytes"), "neither text nor a JPEG"),
        (column("text", distinct=1), "constant: 'a'"),
        (column(distinct=1, present=10), "constant: 1, or missing"),
        (column("text", distinct=950, words=1.0), "like an identifier: 950 different texts among 1,000"),
        (column("text", distinct=500), "no value occurs 10 times, so that a model would memorise them"),
        (column("integer", distinct=1000, numbers=numbers(5, 1500)), "all values are different, and they count on"),
        (column("integer", "trip_id", distinct=1000, numbers=numbers(0, 90_000)), "like an identifier"),
        (column("integer", "tripId", distinct=1000, numbers=numbers(0, 90_000)), "like an identifier"),
        (column("integer", distinct=1000, numbers=numbers(3e9, 9e18)), "like an identifier"),
        (column(fewest=1, most=7), "from 1 to 7 numbers in a record"),
        (column(name=""), "its name is empty"),
    ],
)
def test_why_a_column_is_left_out(seen: ColumnProfile, reason: str) -> None:
    said = kinds(seen)
    assert isinstance(said, str) and reason in said


@pytest.mark.parametrize(
    ("seen", "is_whole", "expected"),
    [
        (LABEL, True, {"kind": "binary"}),
        (column(distinct=2, frequent=((1.0, 600), (0.0, 400))), True, {"kind": "binary"}),
        (column("text", distinct=2), True, {"kind": "class", "classes": ["a", "b"]}),
        (
            column("text", distinct=2, frequent=(("Yes", 100), ("No", 900))),
            False,
            {"kind": "binary", "classes": ["No", "Yes"]},
        ),
        (column("text", distinct=3, frequent=(("yes", 100), ("no", 899), ("Yes", 1))), False, {"kind": "class"}),
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
def test_a_kind_for_the_label(seen: ColumnProfile, is_whole: bool, expected: dict[str, Any]) -> None:
    assert suggest_label(seen, is_whole).settings == {"from": seen.name, **expected}


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (column("image"), "has images"),
        (column("bytes"), "bytes that are no text"),
        (column("nothing", present=0), "no value in any record"),
        (column(most=2), "up to 2 numbers in a record; a label has one number, or several strings or integers"),
        (column("text", distinct=1000, most=2), "occurs only once"),
        (column("integer", distinct=2, fewest=5, most=5, frequent=((0, 9), (1, 4))), "5 zeros and ones in each record"),
        (column("text", distinct=1), "'a' in every record"),
        (column("text", distinct=1000), "occurs only once"),
    ],
)
def test_what_is_no_label_is_refused(seen: ColumnProfile, says: str) -> None:
    with pytest.raises(UserError, match=says):
        suggest_label(seen, is_whole=True)


def test_the_label_is_known_by_its_name() -> None:
    columns = ["a", "Target", "b"]
    assert label_name(columns, None) == "Target"
    assert label_name(columns, "b") == "b"
    with pytest.raises(UserError, match="no column 'c'; the columns are: a, Target, b"):
        label_name(columns, "c")
    with pytest.raises(UserError, match="pass --label COLUMN; the columns are: a, b"):
        label_name(["a", "b"], None)
    with pytest.raises(UserError, match="Target and y could be the label"):
        label_name([*columns, "y"], None)


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
        assert by_name[bucket] == {"kind": "bucketized", "from": source, "buckets": 10, "encode": "one_hot"}
        assert by_name[source] == Z_SCORE
    assert by_name[place] == {"kind": "crossed", "of": buckets, "hash_buckets": 200}
    assert found.wide == [place] and len(by_name) == 5 and found.hidden


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (column(name="pickup_lat"), column(name="dropoff_lon")),
        (column(name="flat"), column(name="flon")),
        (column(name="lat", numbers=numbers(0, 300)), column(name="lon")),
        (column("integer", name="lat"), column(name="lon")),
    ],
)
def test_what_is_no_place_is_not_crossed(first: ColumnProfile, second: ColumnProfile) -> None:
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
    pixels = ModuleInput("pixels", "image", size=(96, 64), channels=1)
    module = Networks(ModuleProfile("net", (pixels,)))
    with_module = suggest(data(photo, title, LABEL), networks=module)
    assert with_module.hubs == {"photo_module": {"handle": "net", "inputs": {"pixels": "photo"}}}
    assert with_module.features[0].settings == {"kind": "image", "size": [96, 64], "channels": 1}
    assert with_module.bad_records == {"policy": "quarantine", "max_fraction": 0.02}  # 1 % of the images are missing
    without = suggest(data(photo, title, LABEL))
    assert (
        [each.name for each in without.without_network] == ["photo"]
        and not without.hubs
        and without.bad_records is None
    )
    of_texts = ModuleProfile("net", (ModuleInput("words", "text"),), output="vector")
    texts = suggest(data(photo, title, LABEL), networks=Networks(of_texts))
    assert texts.hubs == {"title_module": {"handle": "net", "inputs": {"words": "title"}, "output": "vector"}}
    assert [each.settings for each in texts.features] == [{"kind": "text"}]
    with pytest.raises(UserError, match="takes images, but no column holds any"):
        suggest(data(title, LABEL), networks=module)
    with pytest.raises(
        UserError, match=r"are images \(photo\).*--hub HANDLE.*--backbone resnet34 \(or lenet5 or alexnet\)"
    ):
        suggest(data(photo, LABEL))
    with pytest.raises(UserError, match="to learn from besides the label\n  it: constant: 1"):
        suggest(data(column(distinct=1), LABEL))


def test_clips_feed_a_module_of_clips_or_of_images() -> None:
    film = column("image", "film", frequent=(), fewest=5, most=40)
    clips = ModuleInput("x", "video", size=(96, 64), channels=1, frames=8)
    of_clips = suggest(data(film, LABEL), networks=Networks(ModuleProfile("net", (clips,))))
    assert of_clips.features[0].settings == {"kind": "video", "frames": 8, "size": [96, 64], "channels": 1}
    assert of_clips.hubs == {"film_module": {"handle": "net", "inputs": {"x": "film"}}}
    images = replace(clips, takes="image", frames=None)
    of_images = suggest(data(film, LABEL), networks=Networks(ModuleProfile("net", (images,))))
    assert of_images.features[0].settings == {"kind": "video", "frames": 16, "size": [96, 64], "channels": 1}
    assert of_images.hubs == {"film_module": {"handle": "net", "inputs": {"x": "film"}, "pool": "mean"}}
    with pytest.raises(UserError, match=r"are images and clips \(film, photo\).*--hub HANDLE"):
        suggest(data(film, column("image", "photo", frequent=()), LABEL))
    with pytest.raises(UserError, match="takes clips, but no column holds any"):
        suggest(data(column("image", "photo", frequent=()), LABEL), networks=Networks(ModuleProfile("net", (clips,))))


def test_a_column_that_is_left_out_can_be_kept() -> None:
    number, note = column("integer", "trip_id", distinct=1000, numbers=numbers(0, 9e4)), column("text", "note")
    found = suggest(data(number, note, column(), LABEL))
    assert [each.name for each in found.features] == ["it"]
    assert found.left_out["trip_id"].endswith("the name says so; --keep 'trip_id' keeps it")
    kept = suggest(data(number, note, column(), LABEL), kept=["trip_id", "note"])
    assert {each.name: each.settings for each in kept.features} == {
        "trip_id": Z_SCORE, "note": hashed(1024, 5), "it": Z_SCORE
    }  # fmt: skip
    assert "--keep" not in suggest(data(column(distinct=1), column(name="x"), LABEL)).left_out["it"]
    with pytest.raises(UserError, match="--keep trips: there is no such column; did you mean 'trip_id'"):
        suggest(data(number, column(), LABEL), kept=["trips"])


def test_records_of_the_same_patient_stay_together() -> None:
    text = {"type": "text", "distinct": 300}
    found = suggest(data(column(), column(name="patientId", **text), LABEL), "label")
    assert found.split.settings == {"train": 8, "validation": 1, "test": 1, "group": "patientId"}
    assert "--keep 'patientId' keeps it" in found.left_out["patientId"]
    few = suggest(data(column(), column("integer", "session_key", distinct=49), LABEL), "label")
    assert few.split.settings == {"train": 6, "validation": 2, "test": 2, "group": "session_key"}
    both = suggest(data(column(name="user", **text), column("text", "session", distinct=900), column(), LABEL), "label")
    assert both.split.settings["group"] == "user"
    for other in (
        column(name="patient_id", type="text", distinct=960),
        column(name="patient_id", type="text", distinct=19),
        column(name="patient_id", type="text", distinct=300, present=999),
        column(name="patient_id", type="float", distinct=300),
        column(name="outpatient", **text),
        column(name="town", **text),
    ):
        assert "group" not in suggest(data(column(), other, LABEL), "label").split.settings
    kept = suggest(data(column(), column(name="patientId", **text), LABEL), "label", kept=["patientId"])
    assert "group" not in kept.split.settings and [each.column for each in kept.features] == ["it", "patientId"]


def test_small_classes_are_split_in_exact_sizes() -> None:
    few = replace(LABEL, frequent=((0, 99_300), (1, 700)))
    assert suggest(data(column(), few), "label").split.settings["stratify"] == "label"
    many = replace(LABEL, frequent=((0, 99_000), (1, 1000)))
    quantity = column("integer", "label", numbers=numbers(0, 5000))
    for other in (many, quantity, replace(few, most=2), replace(few, distinct=3)):
        assert "stratify" not in suggest(data(column(), other), "label").split.settings
    assert "stratify" not in suggest(data(column(), few, is_whole=False), "label").split.settings
    assert "stratify" not in suggest(replace(data(column(), few), has_spans=True), "label").split.settings


def test_bookkeeping_of_images_is_left_out() -> None:
    photo = column("image", "image/encoded", frequent=())
    books = [column("integer", name) for name in ("height", "image/width")] + [
        column("text", "image/format", distinct=2)
    ]
    others = [column(name="age"), column(name="body_height")]
    found = suggest(data(photo, *books, *others, LABEL))
    assert [each.name for each in found.features] == ["age", "body_height"]
    assert found.left_out["image/width"] == "bookkeeping of the images; --keep 'image/width' keeps it"
    assert "height" in {each.name for each in suggest(data(photo, *books, LABEL), kept=["height"]).features}
    assert len(suggest(data(*books, LABEL)).features) == 3  # no images, no bookkeeping


def test_uneven_classes_are_pointed_out() -> None:
    uneven = suggest_label(column("text", distinct=2, frequent=(("no", 900), ("yes", 100))), True)
    assert uneven.metrics[-4:] == ("precision", "recall", "f1", "pr_auc")
    assert "900 records of 'no', 100 of 'yes'" in (uneven.uneven or "") and "{maximize: f1}" in (uneven.uneven or "")
    several = suggest_label(column("text", distinct=2, frequent=(("cat", 900), ("dog", 100))), True)
    assert several.metrics[-1] == "macro_f1" and "threshold" not in (several.uneven or "")
    even = suggest_label(column("text", distinct=2, frequent=(("no", 800), ("yes", 200))), True)
    assert even.uneven is None and "macro_f1" not in even.metrics


def test_missing_labels_are_set_aside() -> None:
    found = suggest(data(column(), replace(LABEL, present=800)))
    assert found.bad_records == {"policy": "quarantine", "max_fraction": 0.3}
    several = column("text", "label", distinct=2, most=3, present=800)
    assert suggest(data(column(), several)).bad_records is None  # a record may have no class


def test_training_goes_by_the_number_of_records() -> None:
    sizes = [suggest(data(column(), LABEL, total=total)).training for total in (100, 5_000, 50_000, 500_000, 10**8)]
    assert [size["batch_size"] for size in sizes] == [16, 32, 128, 512, 2048]
    assert [size["epochs"] for size in sizes] == sorted((size["epochs"] for size in sizes), reverse=True)
    assert [size["early_stopping"] for size in sizes] == [20, 10, 5, 2, 2]


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


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    columns=st.lists(ANY_COLUMN, max_size=5, unique_by=lambda each: each.name),
    label=st.text(min_size=1, max_size=20),
    classes=st.lists(WORD, min_size=2, max_size=5, unique=True),
    examples=WORD,
    is_whole=st.booleans(),
)
def test_whatever_the_names_and_values_the_file_says_what_was_suggested(
    columns: list[ColumnProfile], label: str, classes: list[str], examples: str, is_whole: bool
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


def test_a_sample_may_lack_values() -> None:
    hours = column("integer", distinct=24, numbers=numbers(0, 23))
    words = column("text", distinct=3)
    assert kinds(hours, is_whole=True) == {"": {"kind": "categorical", "identity": 24, "encode": "one_hot"}}
    assert kinds(hours, is_whole=False) == kinds(words, is_whole=False) == {"": COMPUTED | {"oov_buckets": 1}}
    found = suggest(data(hours, LABEL, is_whole=False))
    assert found.features[0].settings == COMPUTED | {"oov_buckets": 1}
    constant = column("integer", distinct=1, frequent=((7, 1000),))
    assert kinds(constant, is_whole=False) == "constant in the sample: 7"
    assert kinds(column("nothing"), is_whole=False) == "no record of the sample has a value"
    with pytest.raises(UserError, match="is 7 in every record of the sample; there is nothing to learn"):
        suggest_label(constant, is_whole=False)


@pytest.mark.parametrize("seen", [LABEL, column("text", distinct=2, frequent=(("no", 600), ("yes", 400)))])
def test_a_label_of_two_values_in_a_sample_may_have_a_third(seen: ColumnProfile) -> None:
    said = "only a sample was read: if other records hold a third value, this is `kind: class`"
    assert suggest_label(seen, is_whole=False).comment.endswith(said)
    assert said not in suggest_label(seen, is_whole=True).comment


def test_a_name_too_long_for_a_key_of_yaml_is_cut(tmp_path: Path) -> None:
    name = "x" * 1500
    columns = [
        column(name=f"{name}1"),
        column(name=f"{name}2"),
        column("integer", f"{name}_when", distinct=900, is_date=True),
        column(name=f"{name}_lat", numbers=numbers(40, 42)),
        column(name=f"{name}_lon", numbers=numbers(-88, -86)),
    ]
    seen = data(*columns, LABEL)
    found = suggest(seen)
    assert max(len(each.name) for each in found.features) <= 202
    names = [each.name for each in found.features]
    assert len(set(names)) == len(names) == 9 and sum(each.endswith("_weekday") for each in names) == 1
    assert {each.settings["from"] for each in found.features if "from" in each.settings} == {c.name for c in columns}
    text = text_of(found, seen, examples="data", name="some")
    refuse_unreadable(text, tmp_path / "pipeline.yaml")
    values = YAML(typ="safe", pure=True).load(text)
    assert values["features"] == {each.name: each.settings for each in found.features}


def test_a_file_that_hubline_cannot_read_is_not_written(tmp_path: Path) -> None:
    text = text_of(suggest(data(column(), LABEL)), data(column(), LABEL), examples="data", name="some")
    refuse_unreadable(text, tmp_path / "pipeline.yaml")
    with pytest.raises(PipelineFileError, match=r"pipeline.yaml:\d+: features.it.*did not, because it isn't valid"):
        refuse_unreadable(text.replace("z_score", "z_scores"), tmp_path / "pipeline.yaml")
    with pytest.raises(PipelineFileError, match="not YAML"):
        refuse_unreadable(text + "y" * 1500 + ": 1\n", tmp_path / "pipeline.yaml")
    assert not list(tmp_path.iterdir())
