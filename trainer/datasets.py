"""The datasets of a training run: the model's inputs and targets for each split and phase."""

from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import tensorflow as tf

from hubline.core import storage
from hubline.core.errors import DataError
from hubline.core.shard_dataset import read_decodable, read_records
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import encoded_columns, encoded_features, input_columns
from hubline.trainer import inputs, randomness
from hubline.trainer.augment_hub import modules_by_feature
from hubline.trainer.caches import Cache, place_of, transforms_once
from hubline.trainer.config.hubs import fed_hubs
from hubline.trainer.config.training import Training
from hubline.trainer.counts import complete
from hubline.trainer.embeddings import column
from hubline.trainer.example_weights import ExampleWeights
from hubline.trainer.job import Job, Split
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.materialized import MaterializedRows
from hubline.trainer.model import feeding, model_inputs
from hubline.trainer.parsed_rows import ParsedRows, is_dense
from hubline.trainer.phases import Phase
from hubline.trainer.randomness import Epoch
from hubline.trainer.shares import batches_of, completed, examples_of
from hubline.trainer.task import Task
from hubline.trainer.workers import ALONE, Worker

_UNPACKED, _ROW_BYTES = (2, 10), 1024
"""Estimates of memory: bytes of an unpacked row per byte in a file, plain or GZIP, and bytes of a row besides
pixels."""

ROWS_AT_ONCE = 1024
"""Rows without images that are parsed and transformed together."""

_VECTOR_BYTES = 16 << 20
"""Size of the vectors that are processed together."""

_MIXED = 16
"""Batches of cached images that each epoch shuffles among. The images were cached in shuffled order already."""


Record: TypeAlias = Callable[[Cache], None]


def batches(
    job: Job,
    task: Task,
    transform: Callable,
    split: Split,
    scratch: str,
    phase: Phase,
    epoch: Epoch | None = 0,
    record: Record = lambda cache: None,
    skipped: tf.Variable | None = None,
    weights: ExampleWeights | None = None,
    worker: Worker = ALONE,
) -> tf.data.Dataset:
    """Batches of a split: the model's inputs and targets, and the weights of examples if they have weights.

    Args:
        job: The training run.
        task: The model's task.
        transform: The transform graph.
        split: The training split, which is shuffled and augmented, or the validation split.
        scratch: A folder on a local disk for examples that don't fit in memory.
        phase: The phase whose epochs read the dataset.
        epoch: Number of the epoch that reads it; None for a single pass in file order without augmentation.
        record: Called with how the examples are cached, if they are.
        skipped: Batches of the training split to skip at the beginning of an epoch, a multiple of `together`; a dataset
            reads the variable when an epoch starts. The number of batches of such a dataset is unknown to TensorFlow.
        weights: The weights of examples; without them, all count the same.
        worker: Whose share of each batch to return, which may be empty.
    """
    parse, columns = parse_of(job, task, transform, split, phase, weights)
    views, is_trained = job.views if split is job.train else 1, split is job.train and epoch is not None
    mixup = job.training.mixup if is_trained else None
    # mixup blends examples of all workers.
    early = worker if mixup is None else Worker(on_machine=worker.on_machine)
    size = job.training.batch_size
    of_all = _count_known(job, transform, split)  # first, because an empty split can't be read
    if phase.on_vectors:
        data = _of_rows(job, transform, split, scratch, phase, parse, epoch, record, skipped, early)
    else:
        examples = _pictures(job, transform, split, scratch, phase, epoch, record, skipped, early)
        data = inputs.batches(examples, size // early.count, parse, _parsed_at_once(phase))
    known = -(-of_all // size) if skipped is None else None
    data = inputs.prefetched(completed(early, data, of_all, size), known)
    of_batches = randomness.nothing if skipped is None else skipped.read_value
    drawn = 0 if epoch is None else epoch
    if mixup is not None:
        data = batches_of(worker, randomness.mixed(data, mixup, job.training.seed, drawn, of_batches))
    if is_trained and job.training.drop_remainder:
        data = _without_remainder(data, of_all // size, of_batches)
    if columns:
        data = randomness.views_drawn(data, columns, views, job.training.seed, drawn, of_batches, early)
    return data if weights is None else weights.weighted(data, is_training=split is job.train)


def _without_remainder(data: tf.data.Dataset, whole: int, skipped: randomness.Skipped) -> tf.data.Dataset:
    """The first batches of an epoch, without those that are skipped."""
    numbered = data.enumerate().filter(lambda place, _: place + tf.cast(skipped(), tf.int64) < whole)
    return numbered.map(lambda _, batch: batch)


def records_in_order(job: Job, transform: Callable, split: Split) -> tf.data.Dataset:
    """The tf.Examples whose inputs and targets `batches` returns in a single pass, in the same order."""
    decodable = read_decodable(split.records, split.undecodable, in_order=True)
    return _known(job, transform, split, complete(decodable, split.count))


def together(phase: Phase, training: Training, worker: Worker = ALONE) -> int:
    """Number of batches that a worker parses together."""
    size = training.batch_size // (worker.count if training.mixup is None else 1)
    return inputs.batches_at_once(size, _parsed_at_once(phase))


def _parsed_at_once(phase: Phase) -> int:
    return ROWS_AT_ONCE if phase.on_vectors else 1


def _examples(skipped: tf.Variable | None, batch_size: int) -> randomness.Skipped:
    """The number of examples in the batches that are skipped."""
    return randomness.nothing if skipped is None else lambda: skipped * batch_size


def parse_of(
    job: Job, task: Task, transform: Callable, split: Split, phase: Phase, weights: ExampleWeights | None = None
) -> tuple[tf.types.experimental.PolymorphicFunction, list[str]]:
    """The function that parses rows of a split, and the columns of cached vectors in its result, [batch, views, n]."""
    tabular = _tabular(job, phase)
    features = [given for name, feature in tabular.items() for given in feature.inputs(name)]
    spec = job.label_spec | parsing_spec(job.schema, input_columns(job.features, tabular))
    columns = [column(hub) for hub in fed_hubs(job.hubs)] if phase.on_vectors else []
    if columns:
        spec |= job.vectors.spec(job.views if split is job.train else 1)
    weighted = weights.column if weights else None
    key = ("parse", split is job.train, phase.on_vectors, job.training.mixup is None, weights is not None)
    parse = job.memo.once(key, lambda: inputs.parsing(spec, transform, features, columns, task.target, weighted))
    return parse, columns


def _tabular(job: Job, phase: Phase) -> Features:
    """The features that the model or its modules read in a phase, without images and sounds."""
    own = model_inputs(job.features, job.hubs, job.backbones)
    taken = own | ({} if phase.on_vectors else feeding(job.hubs, job.features, job.backbones))
    return {name: feature for name, feature in taken.items() if name not in encoded_features(job.features)}


def kept_vectors(job: Job) -> Iterator[dict[str, tf.Tensor]]:
    """The cached vectors of the training split by hub module, [examples, n], a few MB at a time."""
    spec = job.vectors.spec(job.views)
    at_once = max(1, _VECTOR_BYTES // (4 * job.views * max(job.vectors.sizes.values(), default=1)))
    for rows in complete(read_records(job.train.rows), job.train.count).batch(at_once).prefetch(1):
        parsed = tf.io.parse_example(rows, spec)
        yield {hub: tf.reshape(parsed[column(hub)], [-1, size]) for hub, size in job.vectors.sizes.items()}


def held(training: Training, each: int) -> int:
    """Capacity of the shuffle buffer for examples of `each` bytes."""
    return max(1, min(training.shuffle_buffer, training.shuffle_bytes // max(each, 1)))


def _of_rows(
    job: Job,
    transform: Callable,
    split: Split,
    scratch: str,
    phase: Phase,
    parse: tf.types.experimental.PolymorphicFunction,
    epoch: Epoch | None,
    record: Record,
    skipped: tf.Variable | None,
    worker: Worker,
) -> tf.data.Dataset:
    """Batches of a worker's rows of a split, which are kept for later epochs."""
    records = complete(read_records(split.rows, in_order=epoch is None), split.count)
    rows = _known(job, transform, split, records)
    size = sum(storage.stat(file).size * _UNPACKED[file.endswith(".gz")] for file in split.rows)

    def in_order_of_epoch(kept: tf.data.Dataset) -> tf.data.Dataset:
        if split is job.train:
            # Sized by the untransformed rows, so that the order doesn't depend on the form that is cached.
            in_buffer = held(job.training, size // max(split.count, 1))
            of_examples = _examples(skipped, job.training.batch_size)
            kept = randomness.shuffled(kept, in_buffer, job.training.seed, epoch, of_examples)
        return examples_of(worker, kept)

    given: inputs.Parse = parse
    batch_size = job.training.batch_size // worker.count
    if epoch is not None:
        if (parsed := _parsed(job, parse, rows, size, worker)) is not None:
            return parsed.batches(in_order_of_epoch(parsed.places), batch_size)
        rows, given = _cached(job, split, scratch, phase, parse, rows, size, record, worker)
        rows = in_order_of_epoch(rows)
    examples = rows.map(lambda row: {inputs.ROW: row})
    return inputs.batches(examples, batch_size, given, _parsed_at_once(phase))


def _parsed(
    job: Job, parse: tf.types.experimental.PolymorphicFunction, rows: tf.data.Dataset, size: int, worker: Worker
) -> ParsedRows | None:
    """The parsed rows of a split if several trainings share them and they fit in memory."""
    if not job.memo.is_shared or not is_dense(parse) or place_of(job.training, size, worker.on_machine) == "disk":
        return None
    return job.memo.once(("parsed", parse), lambda: ParsedRows(rows, parse, ROWS_AT_ONCE))


def _cached(
    job: Job,
    split: Split,
    scratch: str,
    phase: Phase,
    parse: tf.types.experimental.PolymorphicFunction,
    rows: tf.data.Dataset,
    size: int,
    record: Record,
    worker: Worker,
) -> tuple[tf.data.Dataset, inputs.Parse]:
    """Rows that the first epoch caches, either unchanged or already transformed, and the function that parses them."""
    given: inputs.Parse = parse
    transformed = transforms_once(job.training, _tabular(job, phase), split.count * (phase.end - phase.first))
    if transformed:
        kept = job.memo.once(("transformed", parse), lambda: MaterializedRows(parse))
        together = rows.batch(ROWS_AT_ONCE)
        rows, given = together.map(kept.encode, num_parallel_calls=tf.data.AUTOTUNE).unbatch(), kept.parse
        size = split.count * job.memo.once(("row size", parse), lambda: kept.bytes_of_row(next(iter(together))))
    cache = _cache(job, split, phase, "transformed_rows" if transformed else "rows", size, worker)
    record(cache)
    if cache.place == "disk":
        return inputs.cached(rows, cache.place, scratch), given
    return job.memo.once(("rows", split is job.train, parse if transformed else None), rows.cache), given


def _cache(
    job: Job, split: Split, phase: Phase, form: Literal["rows", "transformed_rows", "images"], size: int, worker: Worker
) -> Cache:
    return Cache(
        split="train" if split is job.train else "validation",
        first_epoch=phase.first + 1,
        last_epoch=phase.end,
        form=form,
        size=size,
        place=place_of(job.training, size, worker.on_machine),
    )


def _pictures(
    job: Job,
    transform: Callable,
    split: Split,
    scratch: str,
    phase: Phase,
    epoch: Epoch | None,
    record: Record,
    skipped: tf.Variable | None,
    worker: Worker,
) -> tf.data.Dataset:
    """A worker's examples of a split one by one, as rows and image pixels."""
    decodable = read_decodable(split.records, split.undecodable, in_order=epoch is None)
    records = _known(job, transform, split, complete(decodable, split.count))
    part = TRAINING.of(job.label.kind)
    boxes, mask = part.boxes(job.label, job.label_spec), part.mask(job.label, job.label_spec)
    spec = parsing_spec(job.schema, [*encoded_columns(job.features), *job.label.masks])
    examples = inputs.pictures(records, job.features, spec, boxes, mask)
    seed, shuffle = job.training.seed, split is job.train and epoch is not None
    of_examples = _examples(skipped, job.training.batch_size)
    is_kept = phase.end - phase.first > 1 and epoch is not None
    if shuffle:
        # Shuffled while still encoded; otherwise the first batch would wait until a whole buffer of images is decoded.
        size = sum(storage.stat(file).size for file in split.records)
        in_buffer = held(job.training, size // max(split.count, 1))
        # Cached examples are cached in the same order however often training is resumed.
        examples = randomness.shuffled(examples, in_buffer, seed, None if is_kept else epoch, of_examples)
    is_shared_early = not (shuffle and is_kept)
    if is_shared_early:  # before images are decoded
        examples = examples_of(worker, examples)
    examples = inputs.decoded(examples, job.features, boxes, mask)
    each = inputs.bytes_of_pixels(job.features, mask) + _ROW_BYTES
    if is_kept:
        size = split.count * each // (worker.count if is_shared_early else 1)
        cache = _cache(job, split, phase, "images", size, worker)
        record(cache)
        examples = inputs.cached(examples, cache.place, scratch)
        if shuffle:
            in_buffer = min(held(job.training, each), _MIXED * job.training.batch_size)
            examples = randomness.shuffled(examples, in_buffer, seed, epoch, of_examples)
    if not is_shared_early:  # each epoch has other examples in a worker's share
        examples = examples_of(worker, examples)
    if not shuffle:
        return examples
    modules = modules_by_feature(job.hubs, job.module_paths, job.features)
    changes = job.training.changes
    return randomness.changed(examples, changes, seed, epoch, modules, boxes, mask, of_examples, worker)


def _known(job: Job, transform: Callable, split: Split, records: tf.data.Dataset) -> tf.data.Dataset:
    """Drops records whose class the training split doesn't have."""
    if split is job.train or job.label.are_known:
        return records
    return inputs.with_known_class(records, inputs.parsing(job.label_spec, transform))


def _count_known(job: Job, transform: Callable, split: Split) -> int:
    """Number of records that `_known` keeps."""
    if split is job.train or job.label.are_known:
        return split.count
    rows = _known(job, transform, split, complete(read_records(split.rows), split.count))
    count = job.memo.once("known", lambda: int(rows.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1)))
    if not count:
        raise DataError("no record of the validation split has a class that the training split has")
    return count
