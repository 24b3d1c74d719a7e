"""Keras optimizers and learning rate schedules."""

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.config.length import Pace
from hubline.trainer.config.model import Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.schedules import (
    AnySchedule,
    CosineDecay,
    ExponentialDecay,
    InverseTimeDecay,
    LearningRate,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from hubline.trainer.config.training import Training

_schedules = tf.keras.optimizers.schedules
_CLASSES: dict[str, type[tf.keras.optimizers.Optimizer]] = {
    "adadelta": tf.keras.optimizers.Adadelta,
    "adagrad": tf.keras.optimizers.Adagrad,
    "adam": tf.keras.optimizers.Adam,
    "adamax": tf.keras.optimizers.Adamax,
    "adamw": tf.keras.optimizers.AdamW,
    "lion": tf.keras.optimizers.Lion,
    "nadam": tf.keras.optimizers.Nadam,
    "rmsprop": tf.keras.optimizers.RMSprop,
    "sgd": tf.keras.optimizers.SGD,
}


def optimizer(
    config: Optimizer, pace: Pace, learning_rate: LearningRate | None = None, before: int = 0
) -> tf.keras.optimizers.Optimizer:
    """The Keras optimizer of the section.

    Args:
        config: The section.
        pace: The pace of the training that the schedule belongs to.
        learning_rate: Replaces the learning rate of the section.
        before: Steps of the schedule that earlier optimizers have taken.
    """
    rate = keras_rate(config.learning_rate if learning_rate is None else learning_rate, pace, before)
    decay = {} if config.weight_decay is None else {"weight_decay": config.weight_decay}
    return _CLASSES[config.name](learning_rate=rate, **config.options, **config.clipping, **decay)


def keras_rate(rate: LearningRate, pace: Pace, before: int = 0) -> "float | _Continued":
    """A constant, or the Keras schedule. Arguments as `optimizer`."""
    return rate if isinstance(rate, float) else _Continued(_keras_schedule(rate, pace), before)


def check_schedules(training: Training, model: Model, pace: Pace) -> None:
    """Checks that all learning rate schedules lie within the training.

    Raises:
        UserError: if part of a schedule would never happen.
    """
    _check_schedule(training.optimizer.learning_rate, pace, "training.optimizer.learning_rate")
    for name, tune in model.fine_tune.items():
        if tune.after_epochs < pace.epochs:
            _check_schedule(tune.learning_rate, pace.after(tune.after_epochs), f"model.fine_tune.{name}.learning_rate")


def _check_schedule(rate: LearningRate, pace: Pace, key: str) -> None:
    if isinstance(rate, float):
        return
    for name, length in rate.lengths():
        steps = pace.steps_of(length)
        if steps > pace.total:
            raise UserError(
                f"{key}.{name} is {steps:,} steps, and there are {pace.total:,} ({pace.steps:,} per epoch); shorten "
                "the schedule, or train longer"
            )
    if isinstance(rate, CosineDecay):
        warmup, decay = _cosine_steps(rate, pace)
        if decay < 1 or warmup + decay > pace.total:
            raise UserError(
                f"{key}: a warm-up of {warmup:,} steps and a decay of {max(decay, 1):,} are longer than the "
                f"{pace.total:,} steps that there are; shorten them, or train longer"
            )


def _cosine_steps(config: CosineDecay, pace: Pace) -> tuple[int, int]:
    """Steps of the warm-up and of the decay."""
    warmup = 0 if config.warmup_steps is None else pace.steps_of(config.warmup_steps)
    return warmup, pace.total - warmup if config.decay_steps is None else pace.steps_of(config.decay_steps)


class _Continued(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose first steps were taken by an earlier optimizer: each phase of training has a new one."""

    def __init__(self, schedule: tf.keras.optimizers.schedules.LearningRateSchedule, before: int) -> None:
        super().__init__()
        self.schedule, self.before = schedule, before

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.schedule(tf.cast(step, tf.int64) + self.before)

    def get_config(self) -> dict:
        return {"schedule": self.schedule, "before": self.before}


def _keras_schedule(config: AnySchedule, pace: Pace) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    match config:
        case ExponentialDecay() | InverseTimeDecay():
            schedule = getattr(_schedules, type(config).__name__)
            steps = pace.steps_of(config.decay_steps)
            return schedule(config.initial_learning_rate, steps, config.decay_rate, config.staircase)
        case PolynomialDecay():
            steps = pace.total if config.decay_steps is None else pace.steps_of(config.decay_steps)
            return _schedules.PolynomialDecay(
                config.initial_learning_rate, steps, config.end_learning_rate, config.power
            )
        case CosineDecay():
            warmup, decay = _cosine_steps(config, pace)
            return _schedules.CosineDecay(
                config.initial_learning_rate,
                decay,
                config.alpha,
                warmup_target=config.warmup_target,
                warmup_steps=warmup,
            )
        case PiecewiseConstantDecay():
            boundaries = [pace.steps_of(boundary) for boundary in config.boundaries]
            return _schedules.PiecewiseConstantDecay(boundaries, list(config.values))
