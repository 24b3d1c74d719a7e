"""All random draws of training, determined by the seed, the epoch and the position in the epoch alone.

Epochs are counted from 0 over the whole training, including all phases and resumed runs. Each epoch draws anew, and a
resumed run draws what the uninterrupted run would have drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer.augment import Module, drawn
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.inputs import BOX, MASK, ROW, Boxes, Tensors, seen
from hubline.trainer.shares import place_among_all
from hubline.trainer.workers import ALONE, Worker

Epoch: TypeAlias = tf.Variable | int
"""Number of the epoch, int64. A dataset reads a variable when an epoch starts."""

Skipped: TypeAlias = Callable[[], tf.Tensor | int]
"""Returns how many elements are skipped at the beginning of the epoch, because an interrupted run has used them. Called
in graphs, which read the variables that it reads when an epoch starts."""


def nothing() -> int:
    """Skips no element."""
    return 0


_SHUFFLED, _CHANGED, _MIXED, _VIEWS = range(4)
"""Purposes of a seed: different uses within an epoch draw different numbers."""


def enable_generators() -> None:
    """Makes Keras draw (for dropout) from `tf.random.Generator`s, whose state can be saved. Call this before creating
    any layer."""
    tf.keras.backend.experimental.enable_tf_random_generator()


def seed_of(seed: int, use: int, epoch: tf.Tensor, place: tf.Tensor | int = 0) -> tf.Tensor:
    """Seed for stateless draws at a position in an epoch, int64 [2]."""
    # Folding hashes only the previous state; the new number is appended unchanged. The final draw mixes both.
    fold = tf.random.experimental.stateless_fold_in
    folded = fold(tf.constant([seed, use], tf.int64), tf.cast(epoch, tf.int64))
    folded = fold(folded, tf.cast(place, tf.int64))
    return tf.random.stateless_uniform([2], folded, minval=None, maxval=None, dtype=tf.int64)


def shuffled(
    examples: tf.data.Dataset, held: int, seed: int, epoch: Epoch | None = None, skipped: Skipped = nothing
) -> tf.data.Dataset:
    """Shuffles examples, in a new order for every epoch.

    Args:
        examples: One by one.
        held: Size of the shuffle buffer.
        seed: Seed of the order.
        epoch: The epoch that determines the order; None for the same order in all epochs.
        skipped: Examples to skip in this order. Ignored if the order is the same in all epochs.
    """
    if epoch is None:
        return examples.shuffle(held, seed=seed, reshuffle_each_iteration=False)

    def in_order_of(epoch: tf.Tensor) -> tf.data.Dataset:
        # Affects this function graph only. TensorFlow rejects a tensor as operation seed if the graph seed is 0.
        tf.random.set_seed(1)
        drawn_by = seed_of(seed, _SHUFFLED, epoch)[0]
        order = examples.shuffle(held, seed=drawn_by, reshuffle_each_iteration=False)
        return order.skip(tf.cast(skipped(), tf.int64))

    # `shuffle` reads its seed once. Within a function it reads the seed when an iterator is created, at the start of an
    # epoch.
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
    skipped: Skipped = nothing,
    worker: Worker = ALONE,
) -> tf.data.Dataset:
    """Augments the images of examples with `ROW` and pixels, differently in every epoch.

    Args:
        examples: One by one.
        augment: The augmentations.
        seed: Seed of the augmentations.
        epoch: The epoch that determines the augmentations.
        modules: Augmenting hub modules by feature.
        boxes: Boxes in `BOX` that move with their image, if any; see `inputs.decoded`.
        mask: Label whose mask in `MASK` moves with its image, if any.
        skipped: Examples of the epoch before these, of all workers.
        worker: Whose examples these are.
    """
    if not augment:
        return examples
    by_feature = modules or {}

    def change(place: tf.Tensor, inputs: Tensors) -> Tensors:
        numbers = seed_of(seed, _CHANGED, epoch, place_among_all(worker, place) + skipped())
        pictures = {
            name: values for name, values in inputs.items() if name not in (ROW, BOX, MASK) and _is_picture(values)
        }
        sizes = {name: values.shape[-3:-1] for name, values in pictures.items()}
        of_label = {} if boxes is None else {boxes.image: inputs[BOX]}
        changes = {
            name: drawn(augment, height, width, numbers, by_feature.get(name), of_label.get(name))
            for name, (height, width) in sizes.items()
        }
        moved = {name: change.image(inputs[name]) for name, change in changes.items()}
        if boxes is not None:
            moved[BOX] = seen(changes[boxes.image].boxes(inputs[BOX]))
        if mask is not None:
            moved[MASK] = changes[mask.image].mask(inputs[MASK], LEFT_OUT)
        return inputs | moved

    return examples.enumerate().map(change, num_parallel_calls=tf.data.AUTOTUNE)


def _is_picture(values: tf.Tensor) -> bool:
    """Whether values are an image or a clip, and no sound."""
    return values.shape.rank >= 3


def mixed(data: tf.data.Dataset, alpha: float, seed: int, epoch: Epoch, skipped: Skipped = nothing) -> tf.data.Dataset:
    """Blends each example of a batch with another one (mixup), differently in every epoch.

    Args:
        data: Batches of pixels, uint8 [batch, ...], by feature, and targets, float32 [batch] or [batch, n].
        alpha: The share of the other example is drawn per example from Beta(alpha, alpha) and is at most one half, so
            that each example dominates its own blend.
        seed: Seed of the shares and of the pairing.
        epoch: The epoch that determines both.
        skipped: Batches of the epoch before these.
    """

    def mix(place: tf.Tensor, batch: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, target = batch
        count = tf.shape(target)[0]
        one, two, order = tf.unstack(tf.random.split(seed_of(seed, _MIXED, epoch, place + skipped()), 3))
        gammas = [tf.random.stateless_gamma(count[tf.newaxis], drawn_by, alpha) for drawn_by in (one, two)]
        share = tf.math.divide_no_nan(tf.minimum(*gammas), tf.add_n(gammas))  # with a small alpha both can be 0
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


def views_drawn(
    data: tf.data.Dataset,
    names: Sequence[str],
    views: int,
    seed: int,
    epoch: Epoch,
    skipped: Skipped = nothing,
    worker: Worker = ALONE,
) -> tf.data.Dataset:
    """Picks one random cached view per example: [batch, views, n] to [batch, n]. `skipped` counts the batches of the
    epoch before these, which are the share of a worker."""

    def draw(place: tf.Tensor, batch: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, label = batch
        drawn_by = seed_of(seed, _VIEWS, epoch, place + skipped())
        of_all = tf.shape(label)[:1] * worker.count  # of fewer examples, the same ones are drawn first
        chosen = tf.random.stateless_uniform(of_all, drawn_by, maxval=views, dtype=tf.int32)
        chosen = chosen[worker.index :: worker.count]
        return inputs | {name: tf.gather(inputs[name], chosen, batch_dims=1) for name in names}, label

    if views == 1:
        return data.map(lambda inputs, label: (inputs | {name: inputs[name][:, 0] for name in names}, label))
    return data.enumerate().map(draw, num_parallel_calls=tf.data.AUTOTUNE)
