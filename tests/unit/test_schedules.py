"""Lengths of training, and learning rate schedules against their formulas."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

from hubline.core.errors import UserError
from hubline.trainer.config.length import Epochs, Examples, Length, Pace, Share, Steps
from hubline.trainer.config.model import FineTune, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.optimizers import check_schedules, keras_rate, optimizer
from tests.support.pipeline_files import GOOD, diagnostics

PACE = Pace.of(Epochs(epochs=8), examples=205, batch_size=10)
"""8 epochs of 21 steps, the last of which has 5 examples."""


def length(value: Any):
    return TypeAdapter(Length).validate_python(value)


@pytest.mark.parametrize(
    ("written", "meant", "steps"),
    [
        (500, Steps(steps=500), 500),
        ({"steps": 7}, Steps(steps=7), 7),
        ({"epochs": 2}, Epochs(epochs=2), 42),
        ({"epochs": 0.5}, Epochs(epochs=0.5), 10),  # 10.5, rounded to even
        ({"examples": 205}, Examples(examples=205), 21),
        ({"examples": 206}, Examples(examples=206), 22),
        ({"examples": 200}, Examples(examples=200), 20),
        ({"share": 0.25}, Share(share=0.25), 42),
        ({"share": 1e-9}, Share(share=1e-9), 1),
    ],
)
def test_every_unit_becomes_steps(written: Any, meant: Any, steps: int) -> None:
    assert length(written) == meant
    assert PACE.steps_of(meant) == steps


@pytest.mark.parametrize("written", [0, -1, 1.5, True, {}, {"steps": 1, "epochs": 1}, {"share": 1.5}, {"epochs": 0}])
def test_a_length_in_no_unit_or_several_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        length(written)


@pytest.mark.parametrize(
    ("whole", "epochs", "last", "total"),
    [
        ({"epochs": 3}, 3, 21, 63),
        ({"steps": 42}, 2, 21, 42),
        ({"steps": 43}, 3, 1, 43),
        ({"steps": 5}, 1, 5, 5),
        ({"examples": 410}, 2, 21, 42),
        ({"examples": 500}, 3, 9, 51),
    ],
)
def test_a_training_has_whole_epochs_and_perhaps_a_shorter_one(whole: dict, epochs: int, last: int, total: int) -> None:
    pace = Pace.of(Training(**whole).length, 205, 10)
    assert (pace.epochs, pace.last, pace.total) == (epochs, last, total)


@pytest.mark.parametrize(
    ("whole", "epochs", "last", "total"),
    [
        ({"epochs": 3}, 3, 20, 60),
        ({"steps": 43}, 3, 3, 43),
        ({"examples": 400}, 2, 20, 40),
        ({"examples": 401}, 3, 1, 41),
    ],
)
def test_a_dropped_batch_counts_nowhere(whole: dict, epochs: int, last: int, total: int) -> None:
    pace = Training(**whole, batch_size=10, drop_remainder=True).pace(205)
    assert (pace.steps, pace.examples) == (20, 200)
    assert (pace.epochs, pace.last, pace.total) == (epochs, last, total)


def cosine(step: float, first: float, target: float | None, warmup: int, decay: int, alpha: float) -> float:
    if target is not None and step < warmup:
        return first + (target - first) * step / warmup
    share = min(step - warmup, decay) / decay
    return (target or first) * ((1 - alpha) * 0.5 * (1 + math.cos(math.pi * share)) + alpha)


EXPONENTIAL, INVERSE, POLYNOMIAL = "exponential_decay", "inverse_time_decay", "polynomial_decay"
COSINE, PIECEWISE = "cosine_decay", "piecewise_constant_decay"
FORMULAS: list[tuple[dict[str, Any], Any]] = [
    (
        {"kind": EXPONENTIAL, "initial_learning_rate": 0.1, "decay_steps": {"epochs": 1}, "decay_rate": 0.5},
        lambda step: 0.1 * 0.5 ** (step / 21),
    ),
    (
        {"kind": EXPONENTIAL, "initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5, "staircase": True},
        lambda step: 0.1 * 0.5 ** (step // 30),
    ),
    (
        {"kind": INVERSE, "initial_learning_rate": 0.1, "decay_steps": {"examples": 205}, "decay_rate": 0.7},
        lambda step: 0.1 / (1 + 0.7 * step / 21),
    ),
    (
        {"kind": INVERSE, "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.7, "staircase": True},
        lambda step: 0.1 / (1 + 0.7 * (step // 10)),
    ),
    (
        {"kind": POLYNOMIAL, "initial_learning_rate": 0.1, "end_learning_rate": 0.01, "power": 2.0},
        lambda step: 0.09 * (1 - min(step, 168) / 168) ** 2 + 0.01,
    ),
    (
        {"kind": COSINE, "initial_learning_rate": 0.1, "alpha": 0.05},
        lambda step: cosine(step, 0.1, None, 0, 168, 0.05),
    ),
    (
        {"kind": COSINE, "warmup_target": 0.1, "warmup_steps": {"share": 0.125}, "decay_steps": {"epochs": 5}},
        lambda step: cosine(step, 0.0, 0.1, 21, 105, 0.0),
    ),
    (
        {"kind": COSINE, "initial_learning_rate": 0.01, "warmup_target": 0.1, "warmup_steps": 8},
        lambda step: cosine(step, 0.01, 0.1, 8, 160, 0.0),
    ),
    (
        {"kind": PIECEWISE, "boundaries": [{"epochs": 1}, {"epochs": 3}], "values": [0.1, 0.02, 0.003]},
        lambda step: 0.1 if step <= 21 else 0.02 if step <= 63 else 0.003,
    ),
]


@pytest.mark.parametrize(
    ("written", "formula"), FORMULAS, ids=[f"{one['kind']}-{n}" for n, (one, _) in enumerate(FORMULAS)]
)
def test_a_schedule_follows_its_formula_over_all_phases(written: dict, formula: Any) -> None:
    config = Optimizer.model_validate({"learning_rate": written})
    assert Optimizer.model_validate_json(config.to_property()) == config
    check_schedules(Training(epochs=8, optimizer=config), Model(), PACE)
    for before in (0, 40):  # a later phase goes on where the earlier one ended
        rate = keras_rate(config.learning_rate, PACE, before)
        found = [float(rate(tf.constant(step))) for step in range(200 - before)]
        np.testing.assert_allclose(
            found, [formula(step + before) for step in range(200 - before)], rtol=2e-5, atol=1e-9
        )


@pytest.mark.parametrize(
    ("training", "key", "says"),
    [
        (
            "{kind: cosine_decay, initial_learning_rate: 0.1, decay_steps: {epochs: 3}}",
            "decay_steps",
            "longer than the",
        ),
        (
            "{kind: piecewise_constant_decay, boundaries: [{epochs: 1}, {epochs: 9}], values: [1, 2, 3]}",
            "boundaries",
            "l",
        ),
        ("{kind: cosine_decay, warmup_target: 0.1}", "", "set both or neither"),
        ("{kind: cosine_decay}", "", "set initial_learning_rate above 0"),
        ("{kind: piecewise_constant_decay, boundaries: [5], values: [1, 2, 3]}", "", "1 boundaries make 2 pieces"),
        ("{kind: piecewise_constant_decay, boundaries: [5, 5], values: [1, 2, 3]}", "", "ascending"),
        ("{kind: piecewise_constant_decay, boundaries: [5, {epochs: 1}], values: [1, 2, 3]}", "", "in the same unit"),
        ("{kind: exponential_decay, initial_learning_rate: 0.1, decay_rate: 0.5}", "decay_steps", "missing"),
        ("{kind: step_decay}", "kind", "'step_decay' is not known here"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused_with_its_key(
    tmp_path: Path, training: str, key: str, says: str
) -> None:
    ((line, found, message),) = diagnostics(
        tmp_path, GOOD.replace("learning_rate: 1e-2", f"\n    learning_rate: {training}")
    )
    assert line == 9
    assert found == "training.optimizer.learning_rate" + (f".{key}" if key else "")
    assert says in message


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ({"kind": COSINE, "initial_learning_rate": 0.1, "decay_steps": 200}, "decay_steps is 200 steps, and there are"),
        ({"kind": COSINE, "warmup_target": 0.1, "warmup_steps": 100, "decay_steps": 100}, "a warm-up of 100"),
        ({"kind": COSINE, "warmup_target": 0.1, "warmup_steps": 168}, "are longer than the 168 steps"),
        (
            {"kind": EXPONENTIAL, "initial_learning_rate": 1, "decay_steps": 169, "decay_rate": 0.5, "staircase": True},
            "decay_steps is 169 steps",
        ),
    ],
)  # fmt: skip
def test_a_schedule_that_never_ends_is_refused_once_the_steps_are_known(rate: dict, says: str) -> None:
    training = Training.model_validate({"epochs": 8, "optimizer": {"learning_rate": rate}})
    with pytest.raises(UserError, match=r"training\.optimizer\.learning_rate") as caught:
        check_schedules(training, Model(), PACE)
    assert says in str(caught.value)
    tuned = Model(fine_tune={"net": FineTune.model_validate({"after_epochs": 2, "learning_rate": rate})})
    with pytest.raises(UserError, match=r"model\.fine_tune\.net\.learning_rate"):
        check_schedules(Training(epochs=8), tuned, PACE)


@pytest.mark.parametrize(
    ("written", "keras"),
    [
        ({"name": "sgd", "momentum": 0.9, "nesterov": True}, lambda o: o.SGD(0.01, momentum=0.9, nesterov=True)),
        (
            {"name": "Adam", "beta_1": 0.8, "epsilon": 1e-3, "amsgrad": True},
            lambda o: o.Adam(0.01, 0.8, epsilon=1e-3, amsgrad=True)),
        ({"name": "AdamW", "weight_decay": 0.1}, lambda o: o.AdamW(0.01, weight_decay=0.1)),
        (
            {"name": "RMSprop", "rho": 0.8, "momentum": 0.5, "centered": True},
            lambda o: o.RMSprop(0.01, 0.8, 0.5, centered=True)),
        ({"name": "adagrad", "initial_accumulator_value": 0.2}, lambda o: o.Adagrad(0.01, 0.2)),
        ({"name": "adadelta", "rho": 0.9}, lambda o: o.Adadelta(0.01, 0.9)),
        ({"name": "adamax", "beta_2": 0.9}, lambda o: o.Adamax(0.01, beta_2=0.9)),
        ({"name": "nadam"}, lambda o: o.Nadam(0.01)),
        ({"name": "lion", "beta_1": 0.8}, lambda o: o.Lion(0.01, 0.8)),
        ({"clipvalue": 0.5}, lambda o: o.Adam(0.01, clipvalue=0.5)),
        ({"clipnorm": 0.5, "name": "sgd"}, lambda o: o.SGD(0.01, clipnorm=0.5)),
        ({"global_clipnorm": None}, lambda o: o.Adam(0.01)),
    ],
    ids=lambda each: str(each) if isinstance(each, dict) else "keras",
)  # fmt: skip
def test_an_optimizer_moves_variables_as_that_of_keras_does(written: dict, keras: Any) -> None:
    config = Optimizer.model_validate(written | {"learning_rate": 0.01})
    expected = keras(tf.keras.optimizers)
    if "clipvalue" not in written and "clipnorm" not in written and "global_clipnorm" not in written:
        expected.global_clipnorm = 1.0
    results = []
    for each in (optimizer(config, PACE), expected):
        rng = np.random.default_rng(0)
        variables = [tf.Variable(rng.normal(size=[3, 2]), dtype=tf.float32), tf.Variable([1.0, -1.0])]
        for _ in range(4):
            each.apply_gradients([(tf.constant(3 * rng.normal(size=one.shape), tf.float32), one) for one in variables])
        results.append([one.numpy() for one in variables])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("{name: adam, momentum: 0.9}", "adam has no momentum; remove it, or use rmsprop or sgd"),
        ("{name: sgd, beta_1: 0.9}", "sgd has no beta_1; remove it, or use adam or adamax or adamw or lion or nadam"),
        ("{name: sgd, nesterov: true}", "nesterov requires a momentum above 0"),
        ("{clipnorm: 1, clipvalue: 1}", "set only one of clipnorm and clipvalue"),
        ("{clipvalue: 1, global_clipnorm: 1}", "set only one of clipvalue and global_clipnorm"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(tmp_path: Path, written: str, says: str) -> None:
    text = GOOD.replace("{name: sgd, learning_rate: 1e-2}", written)
    ((line, key, message),) = diagnostics(tmp_path, text)
    assert (line, key) == (8, "training.optimizer") and says in message


@pytest.mark.parametrize(
    ("written", "says"), [("epochs: 2, steps: 5", "epochs and steps are set"), ("seed: 1", "none is")]
)
def test_a_training_has_one_length(tmp_path: Path, written: str, says: str) -> None:
    ((line, key, message),) = diagnostics(tmp_path, GOOD.replace("epochs: 2", written))
    assert (line, key) == (8, "training") and says in message
