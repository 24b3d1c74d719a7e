"""Whatever training draws at random: drawn from the seed, the epoch and the place in the epoch, and nothing else.

An epoch is counted from 0 over the whole training, over all phases and resumed runs. So each epoch draws anew, and a
run that goes on after an interruption draws what the undisturbed run would have drawn.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer.augment import Module, drawn
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.inputs import BOX, MASK, ROW, Boxes, Tensors, seen

Epoch: TypeAlias = tf.Variable | int
"""The number of the epoch, int64. A dataset reads a variable when an epoch begins."""

_SHUFFLED, _CHANGED, _MIXED, _VIEWS = range(4)
"""What a seed is for: two uses in one epoch draw different numbers."""


def enable_generators() -> None:
    """Makes Keras draw (for dropout) from `tf.random.Generator`s, whose state can be saved. Call this before any layer
    is made."""
    tf.keras.backend.experimental.enable_tf_random_generator()


def generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """The generators of a model's layers. Keras leaves them out of `layer.weights` and of checkpoints."""
    owners = [getattr(module, "_random_generator", None) for module in model.submodules]
    found = [getattr(owner, "_generator", None) for owner in owners]
    return [generator for generator in found if generator is not None]


def seed_of(seed: int, use: int, epoch: tf.Tensor, place: tf.Tensor | int = 0) -> tf.Tensor:
    """Two integers, int64 [2], that seed stateless draws at a place in an epoch."""
    # Folding hashes what was there, and lays the new number beside it as it is.
    fold = tf.random.experimental.stateless_fold_in
    folded = fold(tf.constant([seed, use], tf.int64), tf.cast(epoch, tf.int64))
    folded = fold(folded, tf.cast(place, tf.int64))
    return tf.random.stateless_uniform([2], folded, minval=None, maxval=None, dtype=tf.int64)


def shuffled(examples: tf.data.Dataset, held: int, seed: int, epoch: Epoch | None = None) -> tf.data.Dataset:
    """Examples in another order in every epoch.

    Args:
        examples: One by one.
        held: How many to hold in memory to draw from.
        seed: Draws the orders.
        epoch: The epoch that draws the order; None for one order in all epochs.
    """
    if epoch is None:
        return examples.shuffle(held, seed=seed, reshuffle_each_iteration=False)

    def in_order_of(epoch: tf.Tensor) -> tf.data.Dataset:
        # Of this function alone: beside a seed of 0, TensorFlow takes no tensor for the other one.
        tf.random.set_seed(1)
        drawn_by = seed_of(seed, _SHUFFLED, epoch)[0]
        return examples.shuffle(held, seed=drawn_by, reshuffle_each_iteration=False)

    # A seed of `shuffle` is read once. Inside a function it is read when an iterator is made, at the begin of an epoch.
    begin = tf.data.Dataset.from_tensors(0).map(lambda _: tf.identity(epoch))
    return begin.flat_map(in_order_of)


def changed(
    examples: tf.data.Dataset,
    augment: Sequence[Augmentation],
    seed: int,
    epoch: Epoch,
    modules: Mapping[str, Mapping[str, Module]] | None = None,
    boxes: Boxes | None = None,
    mask: PixelsLabel | None = None,
) -> tf.data.Dataset:
    """Examples of `ROW` and pixels with their images changed at random, otherwise in every epoch.

    Args:
        examples: One by one.
        augment: How they are changed, each by itself.
        seed: Draws the changes.
        epoch: Likewise.
        modules: By feature, the hub modules that change it.
        boxes: Those that `BOX` has, if any: they go with their image, as `inputs.decoded` has them.
        mask: The label whose mask `MASK` has, if any: it goes with its image.
    """
    if not augment:
        return examples
    by_feature = modules or {}

    def change(place: tf.Tensor, inputs: Tensors) -> Tensors:
        numbers = seed_of(seed, _CHANGED, epoch, place)
        sizes = {name: values.shape[-3:-1] for name, values in inputs.items() if name not in (ROW, BOX, MASK)}
        changes = {
            name: drawn(augment, height, width, numbers, by_feature.get(name))
            for name, (height, width) in sizes.items()
        }
        moved = {name: change.image(inputs[name]) for name, change in changes.items()}
        if boxes is not None:
            moved[BOX] = seen(changes[boxes.image].boxes(inputs[BOX]))
        if mask is not None:
            moved[MASK] = changes[mask.image].mask(inputs[MASK], LEFT_OUT)
        return inputs | moved

    return examples.enumerate().map(change, num_parallel_calls=tf.data.AUTOTUNE)


def mixed(data: tf.data.Dataset, alpha: float, seed: int, epoch: Epoch) -> tf.data.Dataset:
    """Batches in which each example is laid over another of its batch, otherwise in every epoch.

    Args:
        data: Batches of pixels, uint8 [batch, ...], by feature, and targets, float32 [batch] or [batch, n].
        alpha: The share of the other is drawn from a Beta distribution with this for both parameters, for each example
            by itself; it is at most a half, so that an example stays nearer to itself than to the other.
        seed: Draws the shares, and which the others are.
        epoch: Likewise.
    """

    def mix(place: tf.Tensor, batch: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, target = batch
        count = tf.shape(target)[0]
        one, two, order = tf.unstack(tf.random.split(seed_of(seed, _MIXED, epoch, place), 3))
        gammas = [tf.random.stateless_gamma(count[tf.newaxis], drawn_by, alpha) for drawn_by in (one, two)]
        share = tf.math.divide_no_nan(tf.minimum(*gammas), tf.add_n(gammas))  # of a small alpha both can be 0
        others = tf.random.experimental.stateless_shuffle(tf.range(count), order)
        pixels = {name: tf.cast(values, tf.float32) for name, values in inputs.items()}
        over = {name: _laid_over(values, others, share) for name, values in pixels.items()}
        return {name: tf.cast(tf.round(values), tf.uint8) for name, values in over.items()}, _laid_over(
            target, others, share
        )

    return data.enumerate().map(mix, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _laid_over(values: tf.Tensor, others: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    share = tf.reshape(share, [-1, *[1] * (values.shape.rank - 1)])
    return values * (1.0 - share) + tf.gather(values, others) * share


def views_drawn(data: tf.data.Dataset, names: Sequence[str], views: int, seed: int, epoch: Epoch) -> tf.data.Dataset:
    """Batches with, of the kept views of each example, [batch, views, n], one at random, [batch, n]."""

    def draw(place: tf.Tensor, batch: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, label = batch
        drawn_by = seed_of(seed, _VIEWS, epoch, place)
        chosen = tf.random.stateless_uniform(tf.shape(label)[:1], drawn_by, maxval=views, dtype=tf.int32)
        return inputs | {name: tf.gather(inputs[name], chosen, batch_dims=1) for name in names}, label

    if views == 1:
        return data.map(lambda inputs, label: (inputs | {name: inputs[name][:, 0] for name in names}, label))
    return data.enumerate().map(draw, num_parallel_calls=tf.data.AUTOTUNE)
