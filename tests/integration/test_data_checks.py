"""Data validation before training: columns, types, drift, and what stops a run."""

import csv
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from pydantic import TypeAdapter
from ruamel.yaml import YAML
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx.types import standard_artifacts

from hubline.artifacts.column_statistics import STATISTICS, missing_share, nan_count, present, read_statistics
from hubline.artifacts.findings import DataFindings
from hubline.artifacts.splits import SPLITS
from hubline.components.config.data import Data
from hubline.components.config.drift import Drift
from hubline.components.config.evaluation import Evaluation
from hubline.components.example_validator.checks import Checks, ColumnUse, Statistics, check
from hubline.components.example_validator.requirements import checks_of
from hubline.components.input_artifacts import read_schema
from hubline.components.parsing_schema.executor import Executor as ParsingSchema
from hubline.core.errors import DataError
from hubline.preprocessing.config import Features, Label
from tests.support import example_data
from tests.support import statistics as steps

NAN, INFINITY = float("nan"), float("inf")


def checks(*read: str, drift: Drift | None = None, images: tuple[str, ...] = (), sliced: tuple[str, ...] = ()):
    uses = [
        ColumnUse(key=f"features.{name}", kind="any", column=name, types=("int", "float", "bytes")) for name in read
    ]
    return Checks(uses=uses, images=images, sliced=sliced, drift=drift)


def ages(count: int = 300, seed: int = 0, **more) -> list[bytes]:
    rng = np.random.default_rng(seed)
    columns = {"age": rng.normal(40, 9, count), "colour": rng.choice(["red", "blue"], count)}
    return steps.rows(count, **columns | more)


@pytest.mark.both_stacks
def test_data_without_fault_passes_and_nothing_is_found(tmp_path: Path) -> None:
    made = steps.statistics(tmp_path, {"train": [ages()]})
    found, anomalies = steps.validate(tmp_path, made, checks("age", "colour", sliced=("colour",)))
    assert found == DataFindings()
    steps.gate(tmp_path, anomalies)


def test_a_column_to_slice_by_that_is_no_text_stops_before_training(tmp_path: Path) -> None:
    rows = steps.rows(90, age=list(range(90)), town=["Köln".encode(), "Köln".encode("latin-1"), b"Bonn"] * 30)
    made = steps.statistics(tmp_path, {"train": [rows], "test": [rows[:30]]})
    found, anomalies = steps.validate(tmp_path, made, checks("age", sliced=("town",)))
    said = {finding.split: finding.what for finding in found.findings}
    assert said.keys() == {"train", "test"}
    assert "evaluation.slices names this column, but 30 of its values are not UTF-8 text" in said["train"]
    with pytest.raises(DataError, match="column 'town'"):
        steps.gate(tmp_path, anomalies)


def test_all_faults_are_reported_together_with_column_split_file_and_numbers(tmp_path: Path) -> None:
    count = 100
    image = [example_data.random_image(0)] * count
    broken = {
        "empty": [NAN] * 60 + [None] * 40,
        "one": [3] * count,
        "word": ["same", None] * 50,
        "wild": [1.0, INFINITY, -INFINITY, NAN] * 25,
    }
    clean = {"empty": [1.0] * 50, "wild": [0.0, 1.0] * 25, "word": ["a", "b"] * 25, "one": [1, 2] * 25}
    train = [ages(count, image=image, **broken), ages(50, image=image, **clean | {"empty": [None] * 50, "one": [3] * 50,
             "word": ["same"] * 50})]  # fmt: skip
    made = steps.statistics(tmp_path, {"train": train, "test": [ages(50, image=image, **clean)]}, images=["image"])
    found, anomalies = steps.validate(
        tmp_path, made, checks("agee", "empty", "one", "word", "wild", "image", images=("image",),
                               sliced=("image", "hour"), drift=None)
    )  # fmt: skip
    stops = {(item.split, item.column): item.what for item in found.findings if item.stops}
    assert stops == {
        (
            "",
            "agee",
        ): "needed for features.agee, but the data has no such column; did you mean 'age'? Its columns are: "
        "age, colour, empty, image, one, wild, word",
        ("", "image"): "evaluation.slices names this column, but the column contains encoded files",
        ("", "hour"): "evaluation.slices names this column, but the data has no such column; its columns are: "
        "age, colour, empty, one, wild, word",
        ("train", "wild"): "has 50 infinite values: 50 in in/train-0",
    }
    useless = "so the column carries no information; consider removing features.{}".format
    assert {(item.split, item.column, item.what) for item in found.findings if not item.stops} == {
        ("train", "empty", f"none of the 150 records has a value, {useless('empty')}"),
        ("train", "empty", "has 60 NaN values: 60 in in/train-0; they count as missing"),
        ("train", "one", f"every value is 3, in 150 of 150 records, {useless('one')}"),
        ("train", "word", f"every value is 'same', in 100 of 150 records, {useless('word')}"),
        ("train", "wild", "has 25 NaN values: 25 in in/train-0; they count as missing"),
    }
    with pytest.raises(DataError) as error:
        steps.gate(tmp_path, anomalies)
    first, *lines = str(error.value).split("\n")
    assert first == "the data is not fit for training:"
    assert sorted(lines) == sorted(f"  {f'{split}: ' if split else ''}column '{column}': {what}"
                                   for (split, column), what in stops.items())  # fmt: skip


def uses_of(label: str = "{kind: class, from: colour}", **features: str) -> Checks:
    """Checks for features and a label in YAML."""
    yaml = YAML(typ="safe", pure=True)
    described = TypeAdapter(Features).validate_python({name: yaml.load(text) for name, text in features.items()})
    return checks_of(
        described, TypeAdapter(Label).validate_python(yaml.load(label)), Evaluation(), Data(examples="data")
    )


TYPES = {
    "age": ["thirty", "", None] * 20,
    "fare": [2.5, 0.25, NAN] * 20,
    "hour": [3, 17, 3] * 20,
    "empty": [tf.train.Feature()] * 60,
    "blank": [""] * 60,
}


@pytest.mark.parametrize(
    ("column", "feature", "says"),
    [
        ("age", "{kind: numeric}", "numeric, which accepts integers or floats, but the column contains strings, such "
         "as 'thirty'; strings are for kind: categorical, text or timestamp"),
        ("age", "{kind: bucketized, buckets: 3}", "bucketized, which accepts integers or floats, but"),
        ("fare", "{kind: categorical}", "categorical, which accepts integers or strings, but the column contains "
         "floats, such as 2.5; floats are for kind: numeric or bucketized; a bucketized feature can be crossed"),
        ("fare", "{kind: crossed, of: [hour, fare], hash_buckets: 9}", "crossed, which accepts integers or strings"),
        ("fare", "{kind: timestamp, part: hour}", "timestamp, which accepts integers or strings, but the column"),
        ("hour", "{kind: text, bag: {}}", "text, which accepts strings, but the column contains integers, such as 17; "
         "integers are for kind: numeric, bucketized, categorical or timestamp"),
        ("hour", "{kind: image, size: [8, 8]}", "image, which accepts strings, but the column contains integers"),
        ("age", "{kind: categorical, from: hour, weights: age}", "categorical, which accepts integers or floats, "
         "but the column contains strings"),
        ("empty", "{kind: numeric}", "numeric, but a column without values is read as strings; remove "
         "features.it"),
        ("blank", "{kind: numeric}", "numeric, but a column without values is read as strings"),
        ("age", "{kind: timestamp, part: hour}", None),
        ("hour", "{kind: timestamp, part: hour}", None),
        ("hour", "{kind: numeric}", None),
        ("hour", "{kind: categorical, identity: 24, weights: fare}", None),
        ("fare", "{kind: bucketized, buckets: 3}", None),
        ("empty", "{kind: categorical}", None),
    ],
)  # fmt: skip
def test_a_column_of_another_type_than_a_kind_takes_is_named(typed, column: str, feature: str, says: str) -> None:
    if "from" not in feature and "of:" not in feature:
        feature = feature.replace("{", f"{{from: {column}, ", 1)
    found = list(check(uses_of(it=feature), typed, ()))
    stops = [(item.split, item.column, item.what) for item in found if item.stops]
    if says is None:
        assert stops == []
    else:
        ((split, named, what),) = stops
        assert (split, named) == ("train", column) and what.startswith(f"features.it is {says}")


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Statistics:
    """Statistics of columns of each type."""
    folder = tmp_path_factory.mktemp("typed")
    made = steps.statistics(folder, {"train": [steps.rows(60, colour=["red", "blue"] * 30, **TYPES)]})
    return {split: read_statistics(f"{made.uri}/Split-{split}/{STATISTICS}") for split in SPLITS}


def test_all_wrong_types_and_names_are_said_at_once_and_each_feature_by_its_name(typed) -> None:
    asked = uses_of(
        first="{kind: numeric, from: age}",
        second="{kind: bucketized, from: age, buckets: 3}",
        third="{kind: categorical, from: hours}",
        fourth="{kind: crossed, of: [second, hours], hash_buckets: 9}",
        blank="{kind: categorical}",
    )
    said = [str(item) for item in check(asked, typed, ())]
    assert [line.partition(" is ")[0] for line in said] == [
        "column 'hours': needed for features.third and features.fourth, but the data has no such column; did you mean "
        "'hour'? Its columns are: age, blank, colour, empty, fare, hour",
        "train: column 'age': every value",
        "train: column 'age': features.first",
        "train: column 'age': features.second",
        "train: column 'blank': none of the 60 records has a value, so the column carries no information; "
        "consider removing features.blank",
    ]


def test_empty_texts_are_missing_where_all_others_are_the_same(typed) -> None:
    (said,) = (item.what for item in check(uses_of(age="{kind: categorical}"), typed, ()))
    assert said.startswith("every value is 'thirty', in 20 of 60 records, so ")


def test_infinite_values_and_nan_are_counted_in_each_file_and_split(tmp_path: Path) -> None:
    wild = [ages(20, x=[INFINITY] * number + [NAN] + [0.5] * (19 - number)) for number in range(6)]
    found, _ = steps.validate(tmp_path, steps.statistics(tmp_path, {"train": wild, "test": wild[:2]}), checks("x"))
    said = {item.split: item.what for item in found.findings if item.stops}
    assert said["train"] == (
        "has 15 infinite values: 5 in in/train-5, 4 in in/train-4, 3 in in/train-3, others in 2 more files"
    )
    assert said["test"] == "has 1 infinite value: 1 in in/test-1"


def test_columns_that_nobody_reads_may_be_as_they_like(tmp_path: Path) -> None:
    made = steps.statistics(tmp_path, {"train": [ages(60, x=[INFINITY] * 60, y=[NAN] * 60, z=[1] * 60)]})
    found, anomalies = steps.validate(tmp_path, made, checks("age"))
    assert found.findings == ()
    steps.gate(tmp_path, anomalies)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"train": [[1] * 30, [2] * 30, [0.5] * 20], "test": [[1]], "validation": [[1]]},
            "float in 20 records (train: in/train-2), int64 in 62 records (test: in/test-0 and 3 more files)",
        ),
        (
            {"train": [[1] * 30], "test": [["1"] * 10], "validation": [[1] * 10]},
            "bytes in 10 records (test: in/test-0), int64 in 40 records (train: in/train-0 and 1 more file)",
        ),
        (
            {"train": [[1] * 29 + ["one"]], "test": [[1]], "validation": [[1]]},
            "bytes in 1 record (train: in/train-0), int64 in 31 records (test: in/test-0 and 2 more files)",
        ),
        (
            {"train": [[1] * 256 + [0.5] * 256], "test": [[1]], "validation": [[None]]},
            "float in 256 records (train: in/train-0), int64 in 257 records (test: in/test-0 and 1 more file)",
        ),
    ],
    ids=["files", "splits", "one file", "batches of one file"],
)
def test_a_column_of_several_types_is_named_with_a_file_of_each(tmp_path: Path, files, says: str) -> None:
    records = {
        split: [
            steps.rows(len(values), x=values, y=list(map(str, values)), id=range(len(values))) for values in of_split
        ]
        for split, of_split in files.items()
    }
    with pytest.raises(DataError) as error:
        steps.statistics(tmp_path, records)
    assert (
        str(error.value) == f"a column must have the same type in all files; these have several:\n  column 'x': {says}"
    )


def test_a_column_that_some_files_lack_has_one_type(tmp_path: Path) -> None:
    made = steps.statistics(tmp_path, {"train": [ages(20), steps.rows(20, colour=["red"] * 20), ages(10, x=[1] * 10)]})
    found = steps.of_train(made)
    assert {name: (present(column), missing_share(column)) for name, column in found.items()} == {
        "age": (30, 0.4), "colour": (50, 0.0), "x": (10, 0.8)
    }  # fmt: skip


def test_nan_counts_as_missing_in_the_statistics(tmp_path: Path) -> None:
    values = [1.0, NAN, None, NAN, 2.0] * 20
    column = steps.of_train(steps.statistics(tmp_path, {"train": [steps.rows(100, x=values, id=range(100))]}))["x"]
    assert (present(column), nan_count(column), missing_share(column)) == (40, 40, 0.6)


def test_anomalies_against_the_schema_stop_as_findings_do(tmp_path: Path) -> None:
    made = steps.statistics(tmp_path, {"train": [ages()], "test": [ages(colour=["green"] * 300)]})
    schema = steps.schema_of(tmp_path, steps.statistics(tmp_path / "before", {"train": [ages()]}))
    _, anomalies = steps.validate(tmp_path, made, checks("age", "size"), schema=schema)
    with pytest.raises(DataError) as error:
        steps.gate(tmp_path, anomalies)
    assert "\n  test: column 'colour': Examples contain values missing from the schema: green" in str(error.value)
    assert "\n  column 'size': needed for features.size" in str(error.value)


def test_a_fixed_shape_is_validated_and_then_not_asked_of_records(tmp_path: Path) -> None:
    """A curated schema with one value per record; values may be missing in what is parsed with the derived schema."""
    curated = text_format.Parse(
        """
        feature {name: "age" type: FLOAT presence {min_fraction: 1} shape {dim {size: 1}}}
        feature {name: "colour" type: BYTES domain: "colours" shape {dim {size: 1}}}
        string_domain {name: "colours" value: "red" value: "blue"}
        """,
        schema_pb2.Schema(),
    )
    good = steps.statistics(tmp_path / "good", {"train": [ages()]})
    _, anomalies = steps.validate(tmp_path / "good", good, checks("age"), schema=curated)
    steps.gate(tmp_path, anomalies)
    twice = example_data.record(age=example_data.feature(1.0, 2.0), colour="red")
    bad = steps.statistics(tmp_path / "bad", {"train": [[*ages(), twice, example_data.record(colour="red")]]})
    _, anomalies = steps.validate(tmp_path / "bad", bad, checks("age"), schema=curated)
    with pytest.raises(DataError, match="train: column 'age'"):
        steps.gate(tmp_path, anomalies)

    given, made = (steps.artifact(standard_artifacts.Schema, tmp_path / name) for name in ("given", "made"))
    Path(given.uri, "schema.pbtxt").write_text(text_format.MessageToString(curated))
    steps.executor(ParsingSchema, tmp_path).Do({"schema": [given]}, {"parsing_schema": [made]}, {})
    parsing = read_schema([made])
    spec = schema_utils.schema_as_feature_spec(parsing).feature_spec
    assert {name: type(feature).__name__ for name, feature in spec.items()} == {
        "age": "VarLenFeature", "colour": "VarLenFeature"
    }  # fmt: skip
    for feature in parsing.feature:
        assert feature.value_count.max == 1
        feature.shape.dim.add(size=1)
    assert parsing == curated, "nothing else is changed"


def drift_of(tmp_path: Path, before: list[bytes], now: list[bytes], read=("age", "colour"), **drift):
    baseline = steps.baseline(steps.statistics(tmp_path / "before", {"train": [before]}))
    made = steps.statistics(tmp_path / "now", {"train": [now]})
    found, anomalies = steps.validate(tmp_path, made, checks(*read, drift=Drift(**drift)), against=baseline)
    assert found.drift is not None
    return {drift.column: drift for drift in found.drift}, found, anomalies


def test_the_same_data_has_not_drifted(tmp_path: Path) -> None:
    drift, found, anomalies = drift_of(tmp_path, ages(), ages(), policy="fail", max_distance=0.0)
    assert {name: (item.distance, item.drifted) for name, item in drift.items()} == {
        "age": (0.0, False), "colour": (0.0, False)
    }  # fmt: skip
    assert found.warnings == []
    steps.gate(tmp_path, anomalies)


def test_distances_are_those_of_the_distributions(tmp_path: Path) -> None:
    before = ages(400, colour=["red"] * 300 + ["blue"] * 100)
    now = ages(400, colour=["red"] * 100 + ["blue"] * 200 + ["green"] * 100, age=np.linspace(1000, 2000, 400))
    drift, found, anomalies = drift_of(tmp_path, before, now, max_distance=0.4, columns={"colour": 0.51})
    assert drift["colour"].distance == pytest.approx(0.5), "the greatest change of a share: red's"
    assert drift["age"].distance == pytest.approx(1.0, abs=0.01), "they have nothing in common"
    assert [item.drifted for item in drift.values()] == [True, False]
    mean = np.random.default_rng(0).normal(40, 9, 400).mean()
    assert f"limit 0.4; mean 1500, std 289.4, missing 0.0%, was mean {mean:.4g}" in drift["age"].reason
    assert "blue 50.0%" in drift["colour"].reason and "was red 75.0%, blue 25.0%" in drift["colour"].reason
    assert [line[:54] for line in found.warnings] == ["train: column 'age': has drifted from the baseline: Je"]
    steps.gate(tmp_path, anomalies)


def test_a_divergence_is_scipys_on_the_same_buckets(tmp_path: Path) -> None:
    from scipy.spatial.distance import jensenshannon

    rng = np.random.default_rng(5)
    before, now = rng.integers(0, 10, 2000), rng.binomial(9, 0.6, 2000)
    drift, *_ = drift_of(tmp_path, steps.rows(2000, x=before), steps.rows(2000, x=now), read=("x",))
    shares = [np.histogram(values, 10, (0, 9))[0] / 2000 for values in (before, now)]
    expected = jensenshannon(*shares, base=2) ** 2
    assert expected > 0.1 and drift["x"].distance == pytest.approx(expected, rel=0.2), "TFDV's sketches are approximate"


def test_more_missing_values_are_a_drift_too(tmp_path: Path) -> None:
    before = ages(200, x=[1.0, 2.0] * 100)
    drift, *_ = drift_of(
        tmp_path, before, ages(200, x=[1.0, 2.0, None, None] * 50), read=("x",), max_distance=0.45, policy="fail"
    )
    assert drift["x"].distance == pytest.approx(0.0, abs=0.01)
    assert drift["x"].missing == (0.0, 0.5) and drift["x"].drifted


def test_with_policy_fail_the_gate_lists_what_has_drifted(tmp_path: Path) -> None:
    now = ages(seed=1, age=np.random.default_rng(1).normal(90, 9, 300), colour=["red"] * 300)
    _, found, anomalies = drift_of(tmp_path, ages(), now, policy="fail", max_distance=0.2)
    assert not [line for line in found.warnings if "drifted" in line]
    with pytest.raises(DataError) as error:
        steps.gate(tmp_path, anomalies)
    lines = str(error.value).split("\n")
    assert [line.partition(": has drifted")[0] for line in lines[1:]] == [
        "  train: column 'age'", "  train: column 'colour'"
    ]  # fmt: skip


def test_what_cannot_be_compared_says_so(tmp_path: Path) -> None:
    before = steps.rows(50, kind=[1] * 25 + [2] * 25, gone=range(50), only=range(50))
    now = steps.rows(50, kind=["a"] * 25 + ["b"] * 25, new=range(50), only=range(50))
    drift, found, _ = drift_of(
        tmp_path, before, now, read=("kind", "new"), columns={"only": 0.3, "gone": 0.1, "knew": 0.2}
    )
    assert {name: (item.drifted, item.distance, item.limit) for name, item in drift.items()} == {
        "kind": (True, None, 0.1), "new": (False, None, 0.1), "only": (False, 0.0, 0.3)
    }  # fmt: skip
    assert drift["kind"].reason == "type string, was int"
    assert drift["new"].reason == "the baseline has no such column"
    stops = {item.column: item.what for item in found.findings if item.stops}
    assert "data.drift.columns names this column, but the data has no such column; did you mean 'new'?" in stops["knew"]
    assert stops.keys() == {"gone", "knew"}


def test_a_column_without_values_now_has_drifted(tmp_path: Path) -> None:
    drift, *_ = drift_of(tmp_path, ages(), ages(age=[NAN] * 300), read=("age",))
    assert drift["age"].drifted and drift["age"].distance is None and drift["age"].missing == (0.0, 1.0)


def test_a_baseline_that_was_changed_in_the_course_of_a_run_is_not_taken(tmp_path: Path, monkeypatch) -> None:
    made = steps.statistics(tmp_path, {"train": [ages()]})
    monkeypatch.setattr(steps, "file_digest", lambda path: "another")
    with pytest.raises(DataError, match=r"FeatureStats.pb: the baseline has changed since the run began"):
        steps.validate(tmp_path, made, checks("age", drift=Drift()), against=steps.baseline(made))


@pytest.fixture(scope="module")
def penguins(shared_data: Path) -> dict[str, list[bytes]]:
    """Measurements of penguins, as published and deliberately corrupted."""

    def read(folder: str) -> list[bytes]:
        with (shared_data / "penguin" / folder / "penguins_processed.csv").open() as file:
            return [
                example_data.record(**{
                    name: int(value) if name == "species" else float(value) for name, value in row.items()
                })
                for row in csv.DictReader(file)
            ]  # fmt: skip

    return {"labelled": read("labelled"), "skewed": read("skewed")}


PENGUIN = ("species", "culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")


def test_spoiled_penguins_have_drifted_and_the_published_ones_not(penguins, tmp_path: Path) -> None:
    labelled, skewed = (steps.statistics(tmp_path / name, {"train": [records]}) for name, records in penguins.items())

    def against_labelled(name: str, made, policy: Literal["report", "fail"]):
        asked = checks(*PENGUIN, drift=Drift(max_distance=0.02, policy=policy))
        return steps.validate(tmp_path / name, made, asked, against=steps.baseline(labelled))

    found, anomalies = against_labelled("same", labelled, "fail")
    assert [drift.column for drift in found.drift or ()] == sorted(PENGUIN) and found.reasons == found.warnings == []
    steps.gate(tmp_path, anomalies)

    found, anomalies = against_labelled("other", skewed, "fail")
    with pytest.raises(DataError) as error:
        steps.gate(tmp_path, anomalies)
    _, drifted = str(error.value).split("\n")
    assert "train: column 'culmen_length_mm': has drifted from the baseline: Jensen-Shannon divergence 0.03" in drifted
    assert "limit 0.02; mean 0.4287" in drifted

    found, anomalies = against_labelled("reported", skewed, "report")
    assert found.warnings == [drifted.strip()]
    steps.gate(tmp_path, anomalies)
