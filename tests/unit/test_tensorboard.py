"""What TensorBoard logs: steps to profile, hyperparameters, and errors in the file."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.plugins.hparams import api as hparams

from hubline.core.errors import UserError
from hubline.trainer.config.length import Epochs, Pace
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.tensorboard import check_profile, flat, profiled_calls, side_by_side
from tests.support.pipeline_files import GOOD, diagnostics


@given(
    steps_per_epoch=st.integers(1, 40),
    epochs=st.integers(1, 4),
    begin=st.integers(0, 3),
    per_call=st.sampled_from([1, 3, 32]),
    first=st.integers(1, 200),
    count=st.integers(1, 40),
)
def test_the_calls_to_profile_are_those_that_run_the_steps(
    steps_per_epoch: int, epochs: int, begin: int, per_call: int, first: int, count: int
) -> None:
    pace = Pace.of(Epochs(epochs=begin + epochs), steps_per_epoch, batch_size=1)
    last, until = first + count - 1, begin + epochs
    found = profiled_calls((first, last), pace, begin, until, per_call)
    calls = [
        range(epoch * steps_per_epoch + at + 1, epoch * steps_per_epoch + min(at + per_call, steps_per_epoch) + 1)
        for epoch in range(begin, until)
        for at in range(0, steps_per_epoch, per_call)
    ]
    profiled = [number for number, steps in enumerate(calls, 1) if any(first <= step <= last for step in steps)]
    assert found == ((profiled[0], profiled[-1]) if profiled else None)


def test_nothing_is_profiled_without_steps() -> None:
    assert profiled_calls(None, Pace.of(Epochs(epochs=1), 10, 1), 0, 1, 1) is None


def test_hyperparameters_have_the_names_of_the_file() -> None:
    model = Model(head=Head(hidden=(8, 4)), fine_tune={"photos": FineTune(after_epochs=2)})
    training = Training.model_validate({"epochs": 3, "augment": ["flip_left_right"], "optimizer": {"name": "sgd"}})
    found = flat({"model": model.model_dump(mode="json"), "training": training.model_dump(mode="json")})
    assert found["model.head.hidden"] == "[8, 4]"
    assert found["model.fine_tune.photos.after_epochs"] == 2
    assert found["training.epochs"] == 3 and found["training.optimizer.name"] == "sgd"
    assert found["training.optimizer.learning_rate"] == training.optimizer.learning_rate
    assert "training.l2" not in found  # not set
    assert hparams.hparams_pb(found)  # TensorBoard takes them all


def test_the_frames_of_a_clip_are_beside_each_other() -> None:
    clips = np.random.default_rng(0).integers(0, 256, [2, 3, 4, 5, 1], np.uint8)
    expected = np.concatenate([clips[:, 0], clips[:, 1], clips[:, 2]], axis=2)
    np.testing.assert_array_equal(side_by_side(tf.constant(clips)), expected)


@pytest.mark.parametrize(
    ("board", "key", "says"),
    [
        ("{profile: [20, 10]}", "training.tensorboard", "the first step, 20, comes after the last, 10"),
        ("{profile: [0, 10]}", "training.tensorboard.profile", "greater than or equal to 1"),
        ("{profile: [5, 11]}", "training.tensorboard.profile", "step 11 comes after the end of the training"),
        ("{images: -1}", "training.tensorboard.images", "greater than or equal to 0"),
        ("{histogram: true}", "training.tensorboard.histogram", "histograms"),
    ],
)
def test_errors_have_their_key(tmp_path, board: str, key: str, says: str) -> None:
    text = GOOD.replace("training: {", f"training: {{tensorboard: {board}, ")
    (found,) = diagnostics(tmp_path, text.replace("epochs: 2", "steps: 10"))
    assert key in str(found) and says in str(found)


def test_steps_beyond_the_end_are_refused_once_the_data_is_known() -> None:
    training = Training.model_validate({"epochs": 2, "tensorboard": {"profile": [5, 21]}})
    check_profile(training, Pace.of(training.length, examples=105, batch_size=10))
    with pytest.raises(UserError, match="profile ends at step 21, and there are 20 steps"):
        check_profile(training, Pace.of(training.length, examples=100, batch_size=10))
