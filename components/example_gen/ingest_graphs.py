"""The TensorFlow graphs that check, split and write the records of a file."""

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
import tensorflow as tf

from hubline.artifacts.splits import SPLITS
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.ingest_job import Stratum, split_of
from hubline.components.example_gen.record_checks import are_sound
from hubline.components.example_gen.selector import LEFT_OUT, Reason, Selector
from hubline.components.example_gen.split_keys import keys_of
from hubline.components.example_gen.strata import places_of
from hubline.core import interruption
from hubline.preprocessing.examples import are_sequences, flattened

_READ_BYTES = 1 << 20
# A record's length and its checksum, and the checksum of its data.
FRAMING = 16
"""Overhead of a TFRecord in bytes: its length and two checksums."""


class Graphs:
    """Validates and writes records; traced once for all files of the same kind. `Survey` explains targets."""

    def __init__(
        self,
        contract: Contract,
        kind: ColumnTypes,
        split: HashSplit | None,
        flatten: bool,
        selector: Selector | None,
        strata: tuple[Stratum, ...] = (),
    ) -> None:
        """The graphs for files of a kind; `flatten` writes SequenceExamples as Examples."""
        self._selector = selector
        self._contract = contract
        self._kind = kind
        self._split = split
        self._strata = strata
        self._as_examples = flattened if flatten else lambda records: records
        self._places = len(SPLITS) if split else 1
        self._targets = 1 + self._places * (1 + (len(LEFT_OUT) if selector else 0))
        string, size = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
        self._look = tf.function(self._look_at, [tf.TensorSpec([None], tf.string)], autograph=False)
        written = [string, string, size, tf.TensorSpec([None], tf.uint8), tf.TensorSpec([None], tf.string)]
        self.write = tf.function(partial(self._write, range(self._places)), written, autograph=False)
        self.write_unsound = tf.function(partial(self._write, [self._places]), written, autograph=False)

    def survey(self, path: str, compression: str, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, int, bool]:
        """Validates a file.

        Returns:
            The target of each record; counts and largest records by target; uncompressed size in bytes; and whether
            there are SequenceExamples.
        """
        places, largest, total, sequences = [], np.zeros(self._targets, np.int64), 0, False
        # A dataset reduction would copy the accumulated targets with every batch.
        for records in _batches(path, compression, size).prefetch(1):
            interruption.check()
            looked = self._look(records)
            places.append(looked[0].numpy())
            largest = np.maximum(largest, looked[1].numpy())
            total += int(looked[2])
            sequences = sequences or bool(looked[3])
        all_places = np.concatenate(places) if places else np.zeros(0, np.uint8)
        counts = np.bincount(all_places, minlength=self._targets)
        return tf.constant(all_places), tf.constant(counts), tf.constant(largest), total, sequences

    def _look_at(self, records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The target of each record of a batch, the largest records by target, the bytes, and whether there are
        SequenceExamples."""
        examples = self._as_examples(records)
        splits = self._splits(records, examples)
        reasons = self._selector.reasons(records, examples) if self._selector else tf.zeros_like(splits)
        sound = self._are_sound(examples, reasons)
        places = tf.where(sound, splits, tf.cast(self._places, tf.int64))
        if self._selector:
            places = tf.where(reasons == Reason.KEPT, places, 1 + reasons * self._places + splits)
        read = _lengths(records)
        written = tf.where(sound, _lengths(examples), read)
        return (
            tf.cast(places, tf.uint8),
            tf.math.unsorted_segment_max(written, places, self._targets),
            tf.reduce_sum(read + FRAMING),
            tf.reduce_any(are_sequences(records)),
        )

    def _write(
        self,
        places: Sequence[int],
        path: tf.Tensor,
        compression: tf.Tensor,
        size: tf.Tensor,
        places_of: tf.Tensor,
        targets: tf.Tensor,
    ) -> None:
        """Writes the records of each target to its own file; those of splits as tf.Examples.

        Ends with an error of TensorFlow, between two batches, once the process is asked to end.
        """

        def of_place(place: int, batch: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([tf.numpy_function(_go_on, [], tf.bool)]):
                chosen = tf.boolean_mask(records, places_of[batch * size : (batch + 1) * size] == place)
            return self._as_examples(chosen) if place < self._places else chosen

        for number, place in enumerate(places):
            records = _batches(path, compression, size).enumerate().map(partial(of_place, place)).unbatch()
            variant = tf.data.experimental.to_variant(records)
            tf.raw_ops.DatasetToTFRecord(input_dataset=variant, filename=targets[number], compression_type="")

    def _are_sound(self, examples: tf.Tensor, reasons: tf.Tensor) -> tf.Tensor:
        """Whether each record is valid. Records that are left out are not validated: they may lack any column."""
        if not self._selector:
            return are_sound(examples, self._contract, self._kind)
        kept = tf.where(reasons == Reason.KEPT)
        sound = are_sound(tf.gather_nd(examples, kept), self._contract, self._kind)
        return tf.scatter_nd(kept, sound, tf.shape(examples, tf.int64))

    def _splits(self, records: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
        if not self._split:
            return tf.zeros_like(records, tf.int64)
        if not (column := self._split.column):
            return split_of(records, self._split)
        keys = keys_of(records, examples, column, tf.as_dtype(self._kind.dtypes(self._contract)[column]))
        if self._split.group:
            return split_of(keys, self._split)
        return places_of(records, keys, self._strata, split_of(records, self._split))


@cache
def graphs_of(
    contract: Contract,
    kind: ColumnTypes,
    split: HashSplit | None,
    flatten: bool,
    selector: Selector | None = None,
    strata: tuple[Stratum, ...] = (),
) -> Graphs:
    """The graphs, traced once in a process."""
    return Graphs(contract, kind, split, flatten, selector, strata)


def _batches(path: tf.Tensor, compression: tf.Tensor, size: tf.Tensor) -> tf.data.Dataset:
    options = tf.data.Options()
    # Autotuning and graph optimizations gain nothing here, and cost time for each file and each record.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return tf.data.TFRecordDataset(path, compression, buffer_size=_READ_BYTES).batch(size).with_options(options)


def _go_on() -> np.ndarray:
    """Raises Interrupted in TensorFlow's loop over the batches, which is a single operation."""
    interruption.check()
    return np.array(True)


def _lengths(records: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(records), tf.int64)
