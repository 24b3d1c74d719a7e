"""The share of each worker in batches and random draws, and what workers decide together."""

import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from hubline.core.errors import DataError, UserError
from hubline.trainer import randomness
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import Tune
from hubline.trainer.inputs import ROW
from hubline.trainer.shares import batches_of, completed, examples_of
from hubline.trainer.team import ChiefsClock, Team
from hubline.trainer.workers import ALONE, Worker, check_records, worker_of


@pytest.mark.parametrize(("workers", "count", "size"), [(1, 7, 4), (2, 9, 4), (3, 13, 6), (4, 4, 8), (2, 0, 2)])
def test_workers_share_every_batch(workers: int, count: int, size: int) -> None:
    examples = tf.data.Dataset.range(count)
    of_all = [batch.tolist() for batch in examples.batch(size).as_numpy_iterator()]
    for index in range(workers):
        worker = Worker(index, workers)
        early = completed(worker, examples_of(worker, examples).batch(size // workers), count, size)
        late = batches_of(worker, examples.batch(size).map(lambda batch: (batch, batch))).map(lambda batch, _: batch)
        for data in (early, late):
            shares = [batch.tolist() for batch in data.as_numpy_iterator()]
            assert shares == [batch[index::workers] for batch in of_all]


def test_a_batch_without_examples_has_the_form_of_the_others() -> None:
    sparse = tf.sparse.from_dense([["a", ""], ["b", "c"]])
    data = tf.data.Dataset.from_tensor_slices(({"words": sparse, "pixels": tf.zeros([2, 3, 4])}, [0, 1])).batch(1)
    *_, (inputs, label) = completed(Worker(1, 2), data, 5, 2)
    assert (inputs["words"].shape.rank, inputs["words"].values.shape, label.shape) == (2, [0], [0])
    assert inputs["words"].dtype == tf.string and inputs["pixels"].shape == [0, 3, 4]


@pytest.mark.slow
def test_workers_draw_for_their_examples_what_one_draws() -> None:
    """Augmentations of images, and views of a last batch that is smaller."""
    pictures = tf.data.Dataset.range(6).map(lambda _: {ROW: "", "photo": tf.fill([2, 2, 3], tf.cast(100, tf.uint8))})
    kept = {"kept": tf.tile(tf.range(50)[tf.newaxis, :, tf.newaxis], [9, 1, 1])}
    views = tf.data.Dataset.from_tensor_slices((kept, tf.range(9)))

    def drawn(worker: Worker) -> tuple[np.ndarray, np.ndarray]:
        mine, changes = examples_of(worker, pictures), [Augmentation(brightness=0.5)]
        changed = randomness.changed(mine, changes, seed=1, epoch=2, skipped=lambda: 4, worker=worker)
        batches = completed(worker, examples_of(worker, views).batch(4 // worker.count), 9, 4)
        chosen = randomness.views_drawn(batches, ["kept"], 50, seed=1, epoch=2, worker=worker)
        vectors = [inputs["kept"][:, 0] for inputs, _ in chosen.as_numpy_iterator()]
        return np.array([each["photo"][0, 0, 0] for each in changed.as_numpy_iterator()]), np.concatenate(vectors)

    photos, vectors = drawn(ALONE)
    assert len(set(photos)) > 2 and len(set(vectors)) > 2
    for index in range(2):
        mine, chosen = drawn(Worker(index, 2))
        np.testing.assert_array_equal(mine, photos[index::2])
        np.testing.assert_array_equal(chosen, vectors[[n for n in range(9) if n % 4 % 2 == index]])


class Pair(Team):
    """Two workers in one process: the chief's values reach the other in order."""

    def __init__(self, index: int, told: list[list[float]]) -> None:
        super().__init__(Worker(index, 2), tf.distribute.get_strategy())
        self._told = told

    def of_chief(self, *values: float) -> list[float]:
        if self.me.is_chief:
            self._told.append(list(values))
            return list(values)
        return self._told.pop(0)


def test_workers_read_the_clock_of_the_chief_which_tells_the_time_about_once_a_second() -> None:
    now, told = 100.0, list[list[float]]()
    chief = ChiefsClock(Pair(0, told), lambda: now)
    other = ChiefsClock(Pair(1, told), lambda: -7.0)
    most, ages = 0, list[float]()
    for step in range(2000):
        now += 0.02 if step < 1000 else 0.3
        time = chief()
        most = max(most, len(told))
        assert other() == time and not told
        ages.append(now - time)
    assert most == 1 and min(ages) == 0.0
    assert max(ages[100:1000]) == pytest.approx(1.0, abs=0.1) and max(ages[1200:]) <= 1.0
    assert sum(age == 0.0 for age in ages[100:1000]) < 30


def test_one_worker_reads_its_own_clock() -> None:
    times = iter([1.0, 2.0, 3.0])
    clock = ChiefsClock(Team(ALONE, tf.distribute.get_strategy()), lambda: next(times))
    assert (clock(), clock()) == (2.0, 3.0)


def test_a_worker_finds_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert worker_of(3) == ALONE
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1", "a:2"]}, "task": {"index": 2}}')
    assert (worker_of(3), worker_of(1)) == (Worker(2, 3, on_machine=2), ALONE)
    with pytest.raises(UserError, match=r"training\.workers is 4, and TF_CONFIG lists 3 workers"):
        worker_of(4)


def test_more_workers_than_records_are_refused() -> None:
    check_records(3, 3)
    with pytest.raises(DataError, match=r"training\.workers: 4 workers can't share the 3 records of the .*at most 3"):
        check_records(4, 3)


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({"workers": 5, "batch_size": 32}, ("workers",), "5 doesn't divide it; use `workers: 4`"),
        ({"workers": 3, "batch_size": 2}, ("workers",), "3 doesn't divide it; use `workers: 2`"),
        ({"workers": 2, "devices": {"jit_compile": True}}, ("devices", "jit_compile"), "steps of one worker only"),
        ({"workers": 2, "devices": {"device": "cpu", "count": 2}}, ("devices", "count"), "has one CPU device"),
    ],
)
def test_settings_that_several_workers_cannot_have(given: dict, key: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        Training.model_validate({"epochs": 1, **given})
    assert [error["loc"] for error in caught.value.errors()] == [key]


def test_the_number_of_workers_is_not_tuned() -> None:
    with pytest.raises(ValidationError, match="says where to train"):
        Tune.model_validate({"training.workers": {"choice": [1, 2]}})
