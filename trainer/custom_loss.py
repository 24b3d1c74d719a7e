"""A loss function of the user's own."""

import inspect
from functools import partial

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.config.losses import AnyLoss, CustomLoss
from hubline.trainer.losses import MeanLoss
from hubline.trainer.task import Task
from hubline.trainer.user_function import importable, imported, of_user, parameters

_BATCHES = 5, 7
"""Sizes of the batches that a loss is tried on; two, because another dimension may happen to have one of the sizes."""


def loss_of(config: AnyLoss | None, task: Task) -> tf.keras.losses.Loss:
    """The loss of the section `training.loss`; None for the label's default."""
    return custom_loss(config, task) if isinstance(config, CustomLoss) else task.loss(config)


def custom_loss(config: CustomLoss, task: Task) -> tf.keras.losses.Loss:
    """The user's loss, averaged over the examples.

    Raises:
        UserError: if the function cannot be imported, or rejects its arguments.
    """
    with importable(config):
        function = imported(config)
    try:
        inspect.signature(function).bind(None, None, **config.arguments)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{config.call} takes {parameters(function)}; it is called with y_true, y_pred and `arguments`: {error}"
        ) from None
    traced = tf.function(partial(function, **config.arguments))  # allows conditions and loops on tensors

    @tf.autograph.experimental.do_not_convert
    def of_each(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        with importable(config):  # the function may import something when it is called
            values = of_user(f"{config.call} failed", config, lambda: traced(task.loss_target(target), outputs))
        return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)

    return MeanLoss(of_each)


def check_loss(config: CustomLoss, task: Task, outputs: tf.TensorShape) -> None:
    """Tries a loss on made-up batches.

    Args:
        config: The loss.
        task: The label's task.
        outputs: Shape of the model's raw outputs, [batch, ...].

    Raises:
        UserError: if the function fails, its values are not one number per example, or they have no gradient.
    """
    try:
        with importable(config):
            function = partial(imported(config), **config.arguments)
            custom_loss(config, task)
            values = [_tried(config, function, task, outputs, count) for count in _BATCHES]
    except UserError as error:
        raise UserError(f"training.loss: {error}") from error
    shapes = [value.shape for value in values]
    per_example = all(shape.rank and shape[0] == count for shape, count in zip(shapes, _BATCHES, strict=True))
    twice = per_example and any(
        all(shape[axis] == count for shape, count in zip(shapes, _BATCHES, strict=True))
        for axis in range(1, shapes[0].rank)
    )
    if not per_example or twice:
        raise UserError(
            f"training.loss: {config.call} must return one value per example, [batch] or [batch, ...]; for "
            f"{' and '.join(map(str, _BATCHES))} examples it returned "
            f"{' and '.join(str([*shape]) for shape in shapes)}. y_true and y_pred of this label have the shapes "
            f"{_shown(task.loss_target_spec(outputs).shape)} and {_shown(outputs)}"
        )


def _tried(config: CustomLoss, function: partial, task: Task, outputs: tf.TensorShape, count: int) -> tf.Tensor:
    spec = task.loss_target_spec(outputs)
    y_true = tf.zeros([count, *spec.shape[1:]], spec.dtype)
    y_pred = tf.random.stateless_normal([count, *outputs[1:]], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(y_pred)
        values = of_user(f"{config.call} failed", config, lambda: tf.function(function)(y_true, y_pred))
        if not tf.is_tensor(values) or not values.dtype.is_floating:
            found = f"a tensor of {values.dtype.name}" if tf.is_tensor(values) else f"a {type(values).__name__}"
            raise UserError(f"{config.call} must return a tensor of floats; it returned {found}")
    if tape.gradient(values, y_pred) is None:
        raise UserError(
            f"{config.call} has no gradient with respect to y_pred, so nothing can be learned from it; operations such "
            "as argmax and round have none"
        )
    return values


def _shown(shape: tf.TensorShape) -> str:
    return str([*shape]).replace("None", "batch", 1)
