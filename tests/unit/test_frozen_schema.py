"""A frozen schema restricts integer categories as it does strings, according to TFDV."""

import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.pipeline.load import load
from hubline.pipeline.schema import categories, with_ranges

SEEN = pd.DataFrame(
    {
        "colour": ["red", "blue"] * 30,
        "area": [7, 12, 30] * 20,
        "level": [4, 5, 6] * 20,
        "user": [10_000_000_019, 5, 12] * 20,
        "age": [20, 31, 45] * 20,
        "kind": [3, 4, 5] * 20,
    }
)
FILE = """\
name: rides
data: {examples: data/*.gz}
features:
  colour: {kind: categorical}
  area: {kind: categorical, identity: 100}
  user: {kind: categorical, hash_buckets: 10}
  age: {kind: numeric}
  age_bucket: {kind: bucketized, from: age, buckets: 3}
  by_level: {kind: crossed, of: [level, age_bucket], hash_buckets: 20}
label: {from: kind, kind: class}
training: {epochs: 1}
serving: {destination: gs://bucket/serving}
"""


def statistics(frame: pd.DataFrame):
    return tfdv.generate_statistics_from_dataframe(frame)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> schema_pb2.Schema:
    path = tmp_path_factory.mktemp("frozen") / "pipeline.yaml"
    path.write_text(FILE)
    columns = categories(load(path)[0])
    assert columns == {"colour", "area", "user", "level", "kind"}
    splits = [statistics(part) for part in (SEEN.iloc[:30], SEEN.iloc[30:45], SEEN.iloc[45:])]
    return with_ranges(tfdv.infer_schema(statistics(SEEN)), columns, splits)


def test_only_few_categories_are_held_to_their_range(frozen: schema_pb2.Schema) -> None:
    ranges = {
        feature.name: (feature.int_domain.min, feature.int_domain.max)
        for feature in frozen.feature
        if feature.HasField("int_domain")
    }
    assert ranges == {"area": (7, 30), "level": (4, 6), "kind": (3, 5)}
    assert not tfdv.validate_statistics(statistics(SEEN), frozen).anomaly_info


@pytest.mark.parametrize(("column", "value"), [("colour", "green"), ("area", 99), ("level", 7), ("kind", 2)])
def test_a_new_category_is_noticed_whether_it_is_a_text_or_a_number(frozen, column: str, value: object) -> None:
    new = SEEN.copy()
    new.loc[3, column] = value
    assert list(tfdv.validate_statistics(statistics(new), frozen).anomaly_info) == [column]


@pytest.mark.parametrize(("column", "value"), [("age", 99), ("user", 77)])
def test_new_numbers_that_are_amounts_or_of_many_are_not(frozen, column: str, value: object) -> None:
    new = SEEN.copy()
    new.loc[3, column] = value
    assert not tfdv.validate_statistics(statistics(new), frozen).anomaly_info
