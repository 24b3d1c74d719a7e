"""Parts of the input path: parsing, augmentation, views, waiting times, memory, TFRecord writer, phases."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from hubline.core import memory
from hubline.preprocessing.columns import as_parsed, one_each, present
from hubline.preprocessing.config import Feature, Features, ImageFeature
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer import caches, datasets, inputs, randomness
from hubline.trainer.augment import augmented
from hubline.trainer.caches import place_of, transforms_once
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.model import FineTune, Model
from hubline.trainer.config.training import Training
from hubline.trainer.kept import Kept
from hubline.trainer.phases import Phase, kept_for, phases, stays_frozen
from hubline.trainer.tfrecord_writer import writing
from tests.support import example_data

IMAGE = tf.constant(np.random.default_rng(0).integers(0, 256, [6, 9, 3], np.uint8))


def change(number: int, **how) -> np.ndarray:
    return augmented([Augmentation(**how)], IMAGE, tf.constant([7, number], tf.int64)).numpy()


@pytest.mark.parametrize(("name", "axis"), [("flip_left_right", 1), ("flip_up_down", 0)])
def test_half_of_the_images_are_mirrored_and_nothing_else_happens_to_them(name: str, axis: int) -> None:
    got = [change(number, **{name: True}) for number in range(40)]
    mirrored = [np.array_equal(item, np.flip(IMAGE.numpy(), axis)) for item in got]
    as_it_was = [np.array_equal(item, IMAGE.numpy()) for item in got]
    assert all(one != other for one, other in zip(mirrored, as_it_was, strict=True))
    assert 8 <= sum(mirrored) <= 32


def test_brightness_adds_the_same_to_every_pixel_and_no_more_than_it_may() -> None:
    added = set()
    for number in range(20):
        got = change(number, brightness=0.25).astype(int) - IMAGE.numpy()
        inside = (change(number, brightness=0.25) > 0) & (change(number, brightness=0.25) < 255)
        assert np.ptp(got[inside]) <= 1  # except for rounding
        added.add(int(np.median(got[inside])))
    assert len(added) > 5 and max(map(abs, added)) <= 0.25 * 255 + 1 and min(added) < 0 < max(added)


def test_contrast_moves_every_pixel_from_the_mean_by_one_factor() -> None:
    grey = IMAGE.numpy().astype(float)
    mean = grey.mean(axis=(0, 1))
    for number in range(10):
        got = change(number, contrast=0.5).astype(float)
        inside = (got > 0) & (got < 255) & (np.abs(grey - mean) > 30)
        factors = ((got - mean) / (grey - mean))[inside]
        assert 0.45 <= factors.min() <= factors.max() <= 1.55 and np.ptp(factors) < 0.1


def test_a_crop_is_a_window_enlarged() -> None:
    ramp = tf.constant(np.tile(np.arange(0, 200, 10, dtype=np.uint8)[:, np.newaxis, np.newaxis], [1, 20, 3]))
    for number in range(10):
        got = augmented([Augmentation(crop=0.5)], ramp, tf.constant([1, number], tf.int64)).numpy()[:, 0, 0].astype(int)
        assert (np.diff(got) >= 0).all() and 0.45 * 190 <= np.ptp(got) <= 190


def test_the_same_seed_gives_the_same_picture_and_several_changes_come_in_turn() -> None:
    both = [Augmentation(flip_left_right=True), Augmentation(brightness=0.2)]
    one, two = (augmented(both, IMAGE, tf.constant([3, 4], tf.int64)).numpy() for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.uint8 and one.shape == IMAGE.shape


def test_changed_images_differ_from_epoch_to_epoch_and_not_from_run_to_run() -> None:
    epoch = tf.Variable(0, dtype=tf.int64)

    def views(*numbers: int) -> list[np.ndarray]:
        examples = tf.data.Dataset.from_tensors({"a": IMAGE, inputs.ROW: b"row"}).repeat(5)
        dataset = randomness.changed(examples, [Augmentation(brightness=0.5)], seed=1, epoch=epoch)
        assert all(found[inputs.ROW] == b"row" for found in dataset)
        seen = []
        for number in numbers:
            epoch.assign(number)
            seen.append(np.stack([found["a"].numpy() for found in dataset]))
        return seen

    first, second, third = views(0, 1, 2)
    assert not np.array_equal(first, second) and not np.array_equal(first[0], first[1])
    # A run resumed at the second epoch sees the same views.
    np.testing.assert_array_equal(views(1, 2), [second, third])


@pytest.mark.slow
def test_the_time_that_is_waited_for_input_is_added_up() -> None:
    def slowly(number: tf.Tensor) -> tf.Tensor:
        return tf.py_function(lambda value: (time.sleep(0.02), value)[1], [number], tf.int64)

    waited = tf.Variable(0.0, dtype=tf.float64)
    slow = inputs.timed(tf.data.Dataset.range(10).map(slowly), waited)
    assert [int(number) for number in slow] == list(range(10)) and int(slow.cardinality()) == 10
    assert float(waited) >= 0.2
    waited.assign(0.0)
    ready = inputs.timed(tf.data.Dataset.range(10).prefetch(10), waited)
    begin = time.monotonic()
    for _ in ready:
        time.sleep(0.02)  # simulates computation
    assert float(waited) < 0.5 * (time.monotonic() - begin)


def parse_number(rows: tf.Tensor) -> tuple[dict, tf.Tensor]:
    """For rows that are numbers as text: each number repeated as often as its value, sparse, and the number."""
    numbers = tf.strings.to_number(rows, tf.int64)
    return {"itself": tf.RaggedTensor.from_row_lengths(tf.repeat(numbers, numbers), numbers).to_sparse()}, numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "size", "at_once"), [(1, 1, 1), (5, 2, 1), (3, 5, 20), (12, 3, 6), (12, 3, 7), (30, 4, 20), (13, 1, 4)]
)
def test_batches_hold_every_example_and_know_how_many_they_are(count: int, size: int, at_once: int) -> None:
    examples = tf.data.Dataset.range(count).map(
        lambda number: {inputs.ROW: tf.strings.as_string(number), "pixels": tf.fill([2], number)}
    )
    dataset = inputs.prefetched(inputs.batches(examples, size, parse_number, at_once), -(-count // size))
    found = [label.numpy().tolist() for _, label in dataset]
    assert [item for batch in found for item in batch] == list(range(count))
    assert int(dataset.cardinality()) == len(found) and all(len(batch) == size for batch in found[:-1])
    for batch, label in dataset:
        assert set(batch) == {"pixels", "itself"}
        np.testing.assert_array_equal(batch["pixels"], np.stack([label, label], axis=1))
        rows = tf.RaggedTensor.from_sparse(batch["itself"]).to_list()
        assert rows == [[number] * number for number in label.numpy().tolist()]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "size", "views"), [(1, 1, 2), (9, 4, 3)])
def test_a_view_is_drawn_for_each_example_and_epoch(count: int, size: int, views: int) -> None:
    def vectors(number: tf.Tensor) -> tuple[dict, tf.Tensor]:
        kept = tf.stack([tf.fill([views], number), tf.range(views, dtype=tf.int64)], axis=1)
        return {"kept": kept, "other": number}, number

    def epochs(seed: int) -> np.ndarray:
        """The views drawn in each of eight epochs."""
        epoch = tf.Variable(0, dtype=tf.int64)
        data = tf.data.Dataset.range(count).map(vectors).batch(size)
        dataset = randomness.views_drawn(data, ["kept"], views, seed, epoch)
        assert int(dataset.cardinality()) == -(-count // size)
        seen = []
        for number in range(8):
            epoch.assign(number)
            seen.append(list(dataset.as_numpy_iterator()))
        kept = np.array([np.concatenate([batch["kept"] for batch, _ in epoch]) for epoch in seen])
        assert (kept[:, :, 0] == range(count)).all()  # of the same example
        assert all((batch["other"] == label).all() for epoch in seen for batch, label in epoch)
        return kept[:, :, 1]

    drawn = epochs(seed=0)
    assert set(drawn.flat) == set(range(views)) and len({epoch.tobytes() for epoch in drawn}) > 1
    np.testing.assert_array_equal(epochs(seed=0), drawn)
    assert not np.array_equal(epochs(seed=1), drawn)


def test_the_only_view_is_the_one() -> None:
    data = tf.data.Dataset.from_tensors(({"kept": [[[1.0, 2.0]], [[3.0, 4.0]]]}, [0, 1]))
    ((batch, label),) = randomness.views_drawn(data, ["kept"], 1, seed=0, epoch=0)
    assert batch["kept"].numpy().tolist() == [[1, 2], [3, 4]] and label.numpy().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "held"), [({}, 50), ({"shuffle_bytes": 16 * 8 + 7}, 16), ({"shuffle_bytes": 1}, 1)]
)
def test_shuffling_holds_as_many_examples_as_its_bytes_allow(options: dict, held: int) -> None:
    training = Training(epochs=1, shuffle_buffer=50, **options)
    in_buffer = datasets.held(training, each=8)
    assert in_buffer == held
    order = [int(number) for number in randomness.shuffled(tf.data.Dataset.range(1000), in_buffer, seed=0, epoch=3)]
    assert Counter(order) == Counter(range(1000))
    # Each output was drawn from what had been read by then.
    assert max(number - place for place, number in enumerate(order)) <= held - 1
    assert (order == list(range(1000))) == (held == 1)


def test_an_order_is_of_its_epoch_and_what_was_read_is_kept() -> None:
    read, epoch = tf.Variable(0, dtype=tf.int64), tf.Variable(0, dtype=tf.int64)

    def count(number: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([read.assign_add(1)]):
            return tf.identity(number)

    kept = tf.data.Dataset.range(100).map(count).cache()
    data = randomness.shuffled(kept, 100, seed=4, epoch=epoch)
    orders = {}
    for number in (0, 1, 7):
        epoch.assign(number)
        orders[number] = [int(value) for value in data]
    assert len({tuple(order) for order in orders.values()}) == 3 and int(read) == 100
    resumed = randomness.shuffled(tf.data.Dataset.range(100), 100, seed=4, epoch=7)
    assert [int(value) for value in resumed] == orders[7]
    once = randomness.shuffled(tf.data.Dataset.range(100), 100, seed=4)
    assert [int(value) for value in once] == [int(value) for value in once]


def test_memory_is_that_of_the_machine_or_the_containers_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"]
    monkeypatch.setattr(memory, "LIMITS", tuple(map(str, limits)))
    total = psutil.virtual_memory().total
    assert memory.memory_size() == total
    for limit in limits:
        limit.write_text("5000\n")
        assert memory.memory_size() == 5000
        limit.write_text("max\n")
        assert memory.memory_size() == total
    limits[1].write_text(f"{2**63 - 4096}\n")  # version 1 without a limit
    assert memory.memory_size() == total


TABULAR = {"kind": "numeric"}, {"kind": "bucketized", "boundaries": [1.0]}, {"kind": "categorical"}
NUMERIC, BUCKETIZED, CATEGORICAL = TypeAdapter(list[Feature]).validate_python(TABULAR)


@pytest.mark.parametrize(
    ("materialize", "features", "reads", "expected"),
    [
        ("auto", {"a": CATEGORICAL, "b": NUMERIC}, 100_000, True),
        ("auto", {"a": BUCKETIZED}, 100_000, True),
        ("auto", {"a": CATEGORICAL, "b": NUMERIC}, 99_999, False),
        ("auto", {"a": CATEGORICAL, "b": NUMERIC, "c": NUMERIC}, 100_000, False),
        ("auto", {}, 100_000, False),
        (True, {}, 1, True),
        (False, {"a": CATEGORICAL}, 100_000, False),
    ],
)
def test_rows_with_many_categories_are_transformed_once(materialize, features, reads: int, expected: bool) -> None:
    assert transforms_once(Training(epochs=1, materialize=materialize), features, reads) is expected


def test_examples_are_cached_in_memory_up_to_cache_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "memory_size", lambda: 4000)
    assert [place_of(Training(epochs=1), size) for size in (1000, 1001)] == ["memory", "disk"]
    fixed = Training(epochs=1, cache_bytes=5000)
    assert [place_of(fixed, size) for size in (5000, 5001)] == ["memory", "disk"]


def test_records_are_written_in_the_order_of_their_batches(tmp_path: Path) -> None:
    with writing(str(tmp_path / "out")) as write:
        for batch in range(30):
            write(tf.constant([b"%d" % (batch * 10 + place) for place in range(batch % 4)], tf.string))
    expected = [b"%d" % (batch * 10 + place) for batch in range(30) for place in range(batch % 4)]
    assert example_data.read_tfrecord(tmp_path / "out") == expected


def test_a_file_that_cannot_be_written_is_an_error_and_nothing_hangs(tmp_path: Path) -> None:
    with pytest.raises(tf.errors.NotFoundError):
        with writing(str(tmp_path / "absent" / "out")) as write:
            for _ in range(10):
                write(tf.constant([b"record"]))


def test_what_goes_wrong_while_writing_is_what_is_raised(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        with writing(str(tmp_path / "out")) as write:
            write(tf.constant([b"record"]))
            raise KeyError("mine")


FLIP = (Augmentation(flip_left_right=True),)


@pytest.mark.parametrize(
    ("after", "training", "expected", "kept"),
    [
        ({}, {}, [(0, 9, "", True)], Kept(views=1, splits=("train", "validation", "test"))),
        ({}, {"augment": FLIP}, [(0, 9, "", False)], Kept(views=0, splits=("test",))),
        (
            {},
            {"augment": FLIP, "cache_views": 3, "seed": 5},
            [(0, 9, "", True)],
            Kept(views=3, splits=("train", "validation", "test"), augment=FLIP, seed=5),
        ),
        ({"a": 2}, {}, [(0, 2, "", True), (2, 9, "a", False)], Kept(views=1, splits=("train", "validation"))),
        ({"a": 0}, {}, [(0, 9, "a", False)], Kept(views=0, splits=())),
        ({"a": 9}, {}, [(0, 9, "", True)], Kept(views=1, splits=("train", "validation", "test"))),
        (
            {"a": 4, "b": 2},
            {},
            [(0, 2, "", True), (2, 4, "b", False), (4, 9, "ab", False)],
            Kept(views=1, splits=("train", "validation")),
        ),
    ],
)
def test_phases_and_what_is_worth_keeping_for_them(after: dict, training: dict, expected: list, kept: Kept) -> None:
    model = Model.model_construct(fine_tune={name: FineTune(after_epochs=epochs) for name, epochs in after.items()})
    config = Training(epochs=9, **training)
    assert phases(model, config) == [
        Phase(first, end, frozenset(tuned), on_vectors) for first, end, tuned, on_vectors in expected
    ]
    assert kept_for(model, config) == kept
    assert stays_frozen(model, config) == ("test" in kept.splits)


def transform(columns: dict) -> dict:
    """A transform graph that rejects unknown columns, as TF Transform's do."""
    assert columns.keys() <= {"word", "label"}
    features = {"word": tf.strings.upper(one_each(columns["word"]))} if "word" in columns else {}
    return features | {LABEL: one_each(columns["label"])}


SPEC = {"word": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.int64)}
PHOTO: Features = {"photo": ImageFeature(kind="image", size=(8, 8), **{"from": "image"})}
IMAGE_SPEC = {"image": tf.io.FixedLenFeature([1], tf.string)}
IMAGES = [example_data.random_image(number) for number in range(3)]
RECORDS = [example_data.record(image=image, word="abc"[number], label=number) for number, image in enumerate(IMAGES)]


def test_a_feature_named_as_its_column_is_the_transformed_one() -> None:
    found, label = inputs.parsing(SPEC, transform, ["word"])(tf.constant(RECORDS))
    assert found["word"].numpy().tolist() == [b"A", b"B", b"C"]
    assert label.numpy().tolist() == [0, 1, 2]


def test_kept_columns_are_handed_on_as_they_are_and_the_graph_never_sees_them() -> None:
    vectors = [tf.train.Feature(float_list=tf.train.FloatList(value=[number, 0.5])) for number in range(2)]
    kept = tf.constant([example_data.record(vector=vector, label=number) for number, vector in enumerate(vectors)])
    spec = {"vector": tf.io.FixedLenFeature([1, 2], tf.float32), "label": SPEC["label"]}
    found, label = inputs.parsing(spec, transform, columns=["vector"])(kept)
    assert found["vector"].numpy().tolist() == [[[0.0, 0.5]], [[1.0, 0.5]]]
    assert label.numpy().tolist() == [0, 1]


@pytest.mark.slow
def test_a_picture_goes_with_what_is_left_of_its_record() -> None:
    records = tf.data.Dataset.from_tensor_slices(RECORDS)
    encoded = list(inputs.pictures(records, PHOTO, IMAGE_SPEC).as_numpy_iterator())
    assert [example["photo"] for example in encoded] == IMAGES
    for number, example in enumerate(encoded):
        columns = tf.train.Example.FromString(example[inputs.ROW]).features.feature
        assert set(columns) == {"word", "label"} and columns["label"].int64_list.value[0] == number
    decoded = inputs.decoded(inputs.pictures(records, PHOTO, IMAGE_SPEC), PHOTO)
    parse = inputs.parsing(SPEC, transform, ["word"])
    ((batch, label),) = inputs.batches(decoded, 3, parse)
    np.testing.assert_array_equal(batch["photo"], [tf.io.decode_png(image) for image in IMAGES])
    np.testing.assert_array_equal(
        batch["photo"], inputs.pixels_of_batch(PHOTO, {"photo": tf.constant(IMAGES)})["photo"]
    )
    assert batch["word"].numpy().tolist() == [b"A", b"B", b"C"] and label.numpy().tolist() == [0, 1, 2]


def test_rows_of_a_class_that_was_not_learned_are_left_out() -> None:
    def knows_two(columns: dict) -> dict:
        found = transform(columns)
        return found | {LABEL: tf.where(found[LABEL] < 2, found[LABEL], -1)}

    rows = tf.data.Dataset.from_tensor_slices(RECORDS)
    known = inputs.with_known_class(rows, inputs.parsing({"label": SPEC["label"]}, knows_two))
    assert list(known.as_numpy_iterator()) == RECORDS[:2]


@pytest.mark.parametrize(
    ("dtype", "rows"),
    [
        (tf.string, [["a", "", "b"], [], [""]]),
        (tf.float32, [[1.0, float("nan")], [float("inf"), 0.0], []]),
        (tf.int64, [[0, 3], [], [-1]]),
    ],
)
def test_what_is_there_of_a_column(dtype: tf.DType, rows: list[list]) -> None:
    def there(value: Any) -> bool:
        return value != "" and (not isinstance(value, float) or np.isfinite(value))

    expected = [[value for value in row if there(value)] for row in rows]
    ragged = tf.ragged.constant(rows, dtype, ragged_rank=1)
    got = present(ragged.to_sparse())
    by_row: list[list] = [[] for _ in rows]
    for row, value in zip(got.indices[:, 0].numpy(), got.values.numpy(), strict=True):
        by_row[row].append(value.decode() if isinstance(value, bytes) else value)
    assert by_row == expected
    one = [row[:1] for row in rows if row]
    dense = tf.constant(one, dtype)
    for form in (dense, dense[:, 0], dense[:, :, tf.newaxis]):
        assert present(form).dense_shape.numpy().tolist() == [len(one), 1]
        assert present(form).indices[:, 0].numpy().tolist() == [n for n, (value,) in enumerate(one) if there(value)]


def test_what_is_missing_among_values_that_a_served_model_takes_by_column() -> None:
    taken = {
        "count": tf.constant([3, tf.int64.min, 0], tf.int64),
        "share": tf.constant([0.5, float("nan"), 0.0]),
        "word": tf.constant(["a", "", "b"]),
    }
    for values in taken.values():
        parsed = present(as_parsed(tf.io.VarLenFeature(values.dtype), values))
        assert parsed.indices.numpy().tolist() == [[0, 0], [2, 0]]
        assert parsed.values.numpy().tolist() == [values[0].numpy(), values[2].numpy()]


@pytest.mark.parametrize(
    ("values", "parsed"),
    [
        (tf.constant([[3, 4], [tf.int64.min, tf.int64.min], [0, tf.int64.min]], tf.int64), [[3, 4], [], [0]]),
        (tf.constant([[0.5, 1.0], [float("nan")] * 2, [0.0, float("nan")]]), [[0.5, 1.0], [], [0.0]]),
        (tf.constant([["a", "b"], ["", ""], ["c", ""]]), [[b"a", b"b"], [], [b"c"]]),
        (tf.zeros([2, 0]), [[], []]),
        (tf.zeros([0, 3]), []),
    ],
)
def test_lists_that_a_served_model_takes_by_column_are_padded(values: tf.Tensor, parsed: list[list]) -> None:
    got = present(as_parsed(tf.io.VarLenFeature(values.dtype), values))
    assert tf.RaggedTensor.from_sparse(got).to_list() == parsed
    kept = present(as_parsed(tf.io.FixedLenFeature([2], tf.float32), tf.constant([[1.0, 2.0], [3.0, float("nan")]])))
    assert kept.indices.numpy().tolist() == [[0, 0], [0, 1], [1, 0]]
