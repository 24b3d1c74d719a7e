"""Every record has one row, or is recorded as undecodable; no other record is left out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import DamageError, DataError, RunError
from hubline.preprocessing.config import Features, ImageFeature
from hubline.trainer import embed
from hubline.trainer.config.hubs import Hub
from hubline.trainer.embed import Embedder, EmbedResult
from tests.support import example_data, hub_modules

FEATURES: Features = {"photo": ImageFeature(kind="image", size=(8, 8))}
COLUMNS = {"photo": tf.io.FixedLenFeature([1], tf.string)}
HUBS = {"m": Hub(handle="module", inputs={"images": "photo"})}
PHOTOS = [example_data.random_image(seed) for seed in range(5)]


def embedded(folder: Path, photos: list[bytes], count: int, report: Callable[[], None] = lambda: None) -> EmbedResult:
    """Embeds five photos without modules."""
    source = example_data.write_tfrecord(folder / "records", [example_data.record(photo=photo) for photo in photos])
    made = Embedder({}, {}, FEATURES, COLUMNS)
    return made.embed(str(source), count, str(folder / "rows"), 1, (), 0, lambda _: report())


@pytest.mark.slow
def test_a_record_that_does_not_decode_has_no_row(tmp_path: Path) -> None:
    photos = [*PHOTOS[:2], PHOTOS[2][:60], *PHOTOS[3:]]
    assert embedded(tmp_path, photos, 5) == EmbedResult(count=4, undecodable=(2,), sizes={})
    assert len(example_data.read_tfrecord(tmp_path / "rows")) == 4


@pytest.mark.slow
def test_a_record_that_is_lost_to_anything_else_stops_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tf.Variable(True)
    decode = embed.pixels_of_one

    def fail_once(features, inputs):
        tf.debugging.Assert(~(failing & tf.equal(inputs["photo"], PHOTOS[3])), ["out of memory"])
        return decode(features, inputs)

    monkeypatch.setattr(embed, "pixels_of_one", fail_once)
    with pytest.raises(RunError, match=r"records: record 3 \(counted from 0\) decodes, and gave no row.*run again"):
        embedded(tmp_path, PHOTOS, 5, report=lambda: failing.assign(False))


@pytest.mark.parametrize(
    ("count", "says"),
    [(6, "6 records were written, but it contains 5"), (4, "it contains more than the 4 records that were written")],
)
@pytest.mark.slow
def test_a_file_of_another_number_of_records_is_refused(tmp_path: Path, count: int, says: str) -> None:
    with pytest.raises(DamageError, match=says):
        embedded(tmp_path, PHOTOS, count)


@pytest.mark.slow
def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path) -> None:
    source = example_data.write_tfrecord(tmp_path / "records", [example_data.record(photo=photo) for photo in PHOTOS])
    source.write_bytes(source.read_bytes()[:-20])
    made = Embedder({}, {}, FEATURES, COLUMNS)
    with pytest.raises(DamageError, match="records: it is damaged: truncated record"):
        made.embed(str(source), 5, str(tmp_path / "rows"), 1, (), 0)


@pytest.mark.slow
def test_a_module_that_gives_nan_is_named_with_output_and_first_record(tmp_path: Path) -> None:
    dark = hub_modules.module(
        tmp_path / "m",
        tf.TensorSpec([None, 8, 8, 3], tf.float32),
        lambda images: tf.math.log(tf.reduce_mean(images, [1, 2]) - 0.5),
    )
    grey = [example_data.image_bytes(np.full([8, 8, 3], level, "uint8")) for level in (250, 240, 20, 250, 10)]
    source = example_data.write_tfrecord(tmp_path / "records", [example_data.record(photo=photo) for photo in grey])
    made = Embedder(HUBS, {"m": str(dark)}, FEATURES, COLUMNS)
    says = r"records: record 2 \(counted from 0\): hubs\.m: the module's output '\w+' is nan in 3 of 3 numbers"
    with pytest.raises(DataError, match=says):
        made.embed(str(source), 5, str(tmp_path / "rows"), 1, (), 0)


@pytest.mark.slow
def test_a_module_that_does_not_give_one_vector_for_each_example_is_refused(tmp_path: Path) -> None:
    """A detector that returns a vector for every bright area, flattened over the batch."""
    bright = hub_modules.module(
        tmp_path / "m",
        tf.TensorSpec([None, 8, 8, 3], tf.float32),
        lambda images: tf.boolean_mask(tf.reduce_mean(images, [1, 2]), tf.reduce_mean(images, [1, 2, 3]) > 0.5),
    )
    grey = [example_data.image_bytes(np.full([8, 8, 3], level, "uint8")) for level in (250, 20, 240)]
    source = example_data.write_tfrecord(tmp_path / "records", [example_data.record(photo=photo) for photo in grey])
    made = Embedder(HUBS, {"m": str(bright)}, FEATURES, COLUMNS)
    with pytest.raises(RunError, match=r"records 0 to 2: hubs\.m: the module gives 2 vectors for 3 examples"):
        made.embed(str(source), 3, str(tmp_path / "rows"), 1, (), 0)
