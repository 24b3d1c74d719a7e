"""Full runs with many options at once, compared with NumPy."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from hubline.artifacts.predictions import CANDIDATE, LABEL
from hubline.components.hub_module.handle import digest
from hubline.core.digest import file_digest
from hubline.core.float64 import from_parts
from hubline.pipeline.run import run
from tests.support import example_data

pytestmark = pytest.mark.slow

INFER = """\
task: infer
name: inputs
data: {examples: "data/span-{SPAN}/*", window: 1}
features:
  padded: {kind: image, from: image, size: [12, 20], fit: pad, resize: nearest, value_range: [-1, 1]}
  grey: {kind: image, from: image, size: [6, 8], channels: 1, standardize: per_image}
  middle:
    kind: video
    from: frames
    size: [3, 4]
    fit: crop
    resize: area
    value_range: [0, 255]
    frames: 3
    sample: middle
    stride: 2
  looped: {kind: video, from: frames, size: [6, 10], channels: 1, standardize: per_image, frames: 9, pad: loop}
hubs:
  same:
    handle: module
    sha256: DIGEST
    signature: scaled
    arguments: {scale: 2.0}
    inputs: {padded: padded, grey: grey, middle: middle, looped: looped}
predictions: {destination: predictions, batch_size: 3}
"""
SHAPES = {"padded": [12, 20, 3], "grey": [6, 8, 1], "middle": [3, 3, 4, 3], "looped": [9, 6, 10, 1]}


class Scaled(tf.Module):
    """Returns its inputs, multiplied by an argument and flattened."""

    @tf.function
    def scaled(self, scale: tf.Tensor, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            f"{name}_scaled": tf.reshape(values * scale, [-1, np.prod(values.shape[1:])])
            for name, values in inputs.items()
        }


def per_image(images: np.ndarray) -> np.ndarray:
    """Images, [..., height, width, 1], with mean 0 and variance 1."""
    return (images - images.mean((-3, -2, -1), keepdims=True)) / images.std((-3, -2, -1), keepdims=True)


def test_inference_prepares_images_and_clips_as_the_file_says(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    grey = rng.integers(0, 256, [7, 6, 8, 1], np.uint8)
    frames = rng.integers(0, 256, [7, 7, 6, 10, 1], np.uint8)
    records = [
        example_data.record(
            image=example_data.image_bytes(np.repeat(image, 3, axis=-1)),
            frames=example_data.feature(*(example_data.image_bytes(np.repeat(one, 3, axis=-1)) for one in clip)),
        )
        for image, clip in zip(grey, frames, strict=True)
    ]
    example_data.write_tfrecord(tmp_path / "data" / "span-1" / "a", records[:2])
    example_data.write_tfrecord(tmp_path / "data" / "span-2" / "a", records)
    module = Scaled()
    inputs = {name: tf.TensorSpec([None, *shape], tf.float32, name) for name, shape in SHAPES.items()}
    signature = module.scaled.get_concrete_function(scale=tf.TensorSpec([], tf.float32, "scale"), **inputs)
    tf.saved_model.save(module, str(tmp_path / "module"), signatures={"scaled": signature})
    path = tmp_path / "infer.yaml"
    path.write_text(INFER.replace("DIGEST", digest(str(tmp_path / "module"))))
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.spans == (2,)
    (file,) = Path(str(result.predictions)).glob("predictions-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["record"] for row in rows] == list(range(7))

    padded = np.pad(grey.repeat(2, axis=1).repeat(2, axis=2), ((0, 0), (0, 0), (2, 2), (0, 0)))
    middle = frames[:, 1:6:2, :, 1:9].reshape(7, 3, 3, 2, 4, 2, 1).mean((3, 5))
    expected = {
        "padded": np.repeat(padded / 127.5 - 1, 3, axis=-1),
        "grey": per_image(grey.astype(np.float64)),
        "middle": np.repeat(np.round(middle), 3, axis=-1),  # pixels are whole numbers
        "looped": per_image(frames[:, [0, 1, 2, 3, 4, 5, 6, 0, 1]].astype(np.float64)),
    }
    for name, values in expected.items():
        found = np.reshape([row[f"{name}_scaled"] for row in rows], values.shape)
        np.testing.assert_allclose(found, 2 * values, rtol=1e-4, atol=1e-4)


TABLE = """\
task: train
name: table
data:
  examples: data
  split: {train: train-*, validation: validation-*, test: test-*}
  bad_records: {policy: quarantine, max_fraction: 0.1}
features:
  log: {kind: numeric, from: miles, missing: median, normalize: log1p}
  scaled: {kind: numeric, from: speed, normalize: {mean: 3, scale: 2}}
  ranged: {kind: numeric, from: pair, length: 2, missing: 2.5, normalize: min_max, missing_indicator: true}
  quarter: {kind: bucketized, from: speed, buckets: 4, encode: {embedding: 2, initializer: uniform}}
  listed: {kind: categorical, from: town, vocabulary: [ham, ulm], default: ham, encode: multi_hot}
  filed: {kind: categorical, from: town, vocabulary: {file: towns.txt, sha256: DIGEST}, oov_buckets: 1}
  hashed: {kind: categorical, from: tags, hash_buckets: 5, weights: counts}
  code: {kind: categorical, identity: 4, default: 3}
  started:
    kind: categorical
    from: tags
    vocabulary: {top_k: 3, min_count: 2}
    encode: {embedding: 2, pretrained: starts, combiner: {lstm: 2, bidirectional: true, max_length: 4}}
  both: {kind: crossed, of: [listed, code], hash_buckets: 20}
  day: {kind: timestamp, from: at, format: "%d/%m/%Y %H:%M", part: weekday, encode: one_hot}
  said: {kind: text, from: words, bag: {lower: false}, encode: {embedding: 2, combiner: sum}}
  walk:
    kind: sequence
    from: steps
    missing: 0
    normalize: {mean: 1, scale: 4}
    combiner: {gru: 2, bidirectional: true, max_length: 3}
label: {kind: regression, from: price, normalize: log}
hubs: {starts: {handle: starts}}
model:
  head: {hidden: [8], dropout: 0.1, standardize: false}
  wide: [both]
training:
  epochs: 6
  batch_size: 25
  seed: 3
  loss: {kind: huber, delta: 0.9}
  cache_bytes: 0
  shuffle_bytes: 10000
  optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.8, global_clipnorm: 2}
  early_stopping: {patience: 2, monitor: val_rmse, min_delta: 0.00001}
evaluation:
  metrics: [rmse, mae, r2]
  thresholds: {rmse: {at_most: 1000, every_slice: true}}
  slices: [[town]]
  slice_min_examples: 5
serving: {destination: serving, push: false}
"""
SPLITS = {"train": 200, "validation": 50, "test": 80}
TOWNS = ["bonn", "ulm", "ham"]


def table(count: int, seed: int) -> list[dict]:
    """Records as columns; every fifth has no `miles` and no `pair`, and one town is rare."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        speed, tags = int(rng.integers(1, 100)), [f"t{int(tag)}" for tag in rng.integers(0, 3, 1 + number % 3)]
        row = {
            "speed": speed,
            "town": "rare" if number == 7 else TOWNS[number % 3],
            "tags": tags,
            "counts": [float(weight) for weight in rng.integers(1, 4, len(tags))],
            "code": int(rng.integers(0, 6)),
            "at": f"{1 + number % 28:02d}/02/2023 {number % 24:02d}:30",
            "words": "One two two"[: 3 + 4 * (number % 3)],
            "steps": [float(step) for step in rng.integers(0, 9, 1 + number % 4)],
            "price": float(np.exp(3 + speed / 50 + rng.normal(0, 0.02))),
        }
        if number % 5:
            row |= {"miles": float(rng.integers(0, 50)), "pair": [float(rng.normal(4, 1)), float(rng.normal())]}
        found.append(row)
    return found


def record(row: dict) -> bytes:
    return example_data.record(
        **{
            name: example_data.feature(*(value if isinstance(value, list) else [value]))
            for name, value in row.items()
            if value != []
        }
    )


class Starts(tf.Module):
    """Maps words, string [batch], to a vector per word."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        number = tf.strings.to_number(tf.strings.substr(words, 1, 1))
        return tf.stack([number, -number], axis=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    splits = {split: table(count, seed) for seed, (split, count) in enumerate(SPLITS.items())}
    for split, rows in splits.items():
        no_price = [record({**rows[0], "price": []})] if split == "train" else []
        example_data.write_tfrecord(folder / "data" / f"{split}-0", [*map(record, rows), *no_price])
    (folder / "towns.txt").write_text("\n".join(TOWNS[:2]))
    tf.saved_model.save(Starts(), str(folder / "starts"))
    path = folder / "pipeline.yaml"
    path.write_text(TABLE.replace("DIGEST", file_digest(str(folder / "towns.txt"))))
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return folder, splits, result


def test_a_regression_on_a_table_is_judged_and_not_pushed(trained) -> None:
    folder, splits, result = trained
    assert result.blessed and not result.newly_pushed and not (folder / "serving").exists()
    (kept,) = Path(result.artifacts.evaluation, "predictions").iterdir()
    columns = [tf.train.Example.FromString(item).features.feature for item in example_data.read_tfrecord(kept)]
    true, told = (
        from_parts(tf.constant([list(each[name].float_list.value) for each in columns])).numpy()
        for name in (LABEL, CANDIDATE)
    )
    price = np.array([row["price"] for row in splits["test"]], np.float32)
    np.testing.assert_array_equal(np.sort(true), np.sort(price))
    squares = ((told - true) ** 2).mean()
    expected = {"rmse": squares**0.5, "mae": np.abs(told - true).mean(), "r2": 1 - squares / true.var()}
    assert result.metrics == pytest.approx(expected, rel=1e-9)
    learned = np.array([row["price"] for row in splits["train"]], np.float32).astype(np.float64)
    baseline = {
        "rmse": ((true - learned.mean()) ** 2).mean() ** 0.5,
        "mae": np.abs(true - np.median(learned)).mean(),
        "r2": 1 - ((true - learned.mean()) ** 2).mean() / true.var(),
    }
    assert result.decision.baseline.metrics == pytest.approx(baseline, rel=1e-9)
    examples = {found.slice: found.examples for found in result.decision.slices}
    assert examples == {"overall": 80, "town=bonn": 27, "town=ham": 26, "town=rare": 1, "town=ulm": 26}
    judged = {check.slice for check in result.decision.checks if check.metric == "rmse" and check.bound == 1000}
    assert judged == {"overall", "town=bonn", "town=ham", "town=ulm"}, "a slice of one example is not judged"


def test_features_of_a_table_are_those_of_numpy(trained) -> None:
    _, splits, result = trained
    train, test = splits["train"], splits["test"]
    graph = tft.TFTransformOutput(result.artifacts.transform_graph)
    spec = {name: column for name, column in graph.raw_feature_spec().items() if name != "price"}
    found = graph.transform_features_layer()(tf.io.parse_example(list(map(record, test)), spec))
    dense = {
        name: (tf.sparse.to_dense(values, -1) if isinstance(values, tf.SparseTensor) else values).numpy()
        for name, values in found.items()
    }

    def padded(lists: list[list]) -> np.ndarray:
        return np.array([one + [-1] * (max(map(len, lists)) - len(one)) for one in lists])

    speeds = np.array([row["speed"] for row in test])
    np.testing.assert_allclose(dense["scaled"][:, 0], (speeds - 3) / 2)
    is_missing = np.array(["miles" not in row for row in test])
    miles = np.array([row.get("miles", np.nan) for row in test])
    known = np.array([row["miles"] for row in train if "miles" in row])
    filled = np.log1p(np.where(is_missing, np.median(known), miles))
    expected = (filled - np.log1p(known).mean()) / np.log1p(known).std()
    np.testing.assert_allclose(dense["log"][:, 0], expected, rtol=1e-5, atol=1e-5)
    pairs, learned = (np.array([row.get("pair", [2.5, 2.5]) for row in rows]) for rows in (test, train))
    ranged = (pairs - learned.min(axis=0)) / np.ptp(learned, axis=0)
    np.testing.assert_allclose(dense["ranged"][:, :2], ranged, atol=1e-6)
    np.testing.assert_array_equal(dense["ranged"][:, 2:], np.tile(is_missing[:, np.newaxis], 2))

    learned_speeds = np.array([row["speed"] for row in train])
    for bucket in (1, 2, 3):
        first = speeds[dense["quarter"][:, 0] == bucket].min()
        assert speeds[dense["quarter"][:, 0] == bucket - 1].max() < first
        assert (learned_speeds < first).mean() == pytest.approx(bucket / 4, abs=0.05)
    towns = [row["town"] for row in test]
    np.testing.assert_array_equal(dense["listed"][:, 0], [int(town == "ulm") for town in towns])
    np.testing.assert_array_equal(dense["filed"][:, 0], [{"bonn": 0, "ulm": 1}.get(town, 2) for town in towns])
    codes = [row["code"] if row["code"] < 4 else 3 for row in test]
    np.testing.assert_array_equal(dense["code"][:, 0], codes)
    days = [datetime.strptime(row["at"], "%d/%m/%Y %H:%M").weekday() for row in test]
    np.testing.assert_array_equal(dense["day"][:, 0], days)
    combinations = [(town == "ulm", row["code"]) for town, row in zip(towns, test, strict=True)]  # of columns
    buckets = dict(zip(combinations, dense["both"][:, 0], strict=True))
    assert [buckets[each] for each in combinations] == dense["both"][:, 0].tolist()
    assert len(buckets) == 12 and len(set(buckets.values())) > 6 and max(buckets.values()) < 20

    counts = Counter(tag for row in train for tag in row["tags"])
    order = sorted(sorted(counts, reverse=True), key=lambda tag: -counts[tag])
    np.testing.assert_array_equal(dense["started"], padded([[order.index(tag) for tag in row["tags"]] for row in test]))
    np.testing.assert_array_equal(dense["hashed.weights"], padded([row["counts"] for row in test]))
    hashes = [tf.strings.to_hash_bucket_fast(row["tags"], 5).numpy().tolist() for row in test]
    np.testing.assert_array_equal(dense["hashed"], padded(hashes))
    words = [[("One", "two").index(word) for word in row["words"].split()] for row in test]
    np.testing.assert_array_equal(dense["said"], padded(words))
    steps = padded([[(step - 1) / 4 for step in row["steps"]] for row in test])
    np.testing.assert_allclose(dense["walk"], steps)
