"""Reads a sample of the records of all files."""

from __future__ import annotations

import bisect
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import pyarrow as pa
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from hubline.core import storage
from hubline.core.adapters.tfx_bsl import ExampleDecoder
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.tfrecords import read_batches
from hubline.preprocessing.examples import flattened

FILES, RECORDS, BYTES = 64, 100_000, 256 << 20
"""Maximum numbers of files, records and bytes that are read."""
_BATCH = 256
_FRAMING = 16  # bytes that a TFRecord file adds to a record


@dataclass
class Sample:
    """Serialized records, and the files that they are from."""

    records: list[bytes] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    """Path of each file that was read, with the index of its first record in `records`."""
    whole: dict[str, int] = field(default_factory=dict)
    """Number of records in each file that was read to the end."""

    def place(self, index: int) -> str:
        """File and number of a record, for a message."""
        path, first = next(place for place in reversed(self.places) if place[1] <= index)
        return f"{path}: record {index - first} (counted from 0)"

    def count(self, paths: Sequence[str]) -> int:
        """Estimated number of records in all files: from the sizes of files that were read to the end or, if there are
        none, from the size of a record, which underestimates compressed files."""
        if len(self.whole) == len(paths):
            return len(self.records)
        size = sum(storage.stat(path).size for path in self.whole)
        records = sum(self.whole.values())
        if not records:
            size, records = sum(map(len, self.records)) + _FRAMING * len(self.records), len(self.records)
        everything = sum(storage.stat(path).size for path in paths)
        return max(len(self.records), round(everything * records / size))


def read_sample(paths: Sequence[str], console: Console) -> Sample:
    """The first records of files that are spread evenly over all files.

    Raises:
        DataError: if a file is damaged.
    """
    chosen = [paths[number * len(paths) // FILES] for number in range(FILES)] if len(paths) > FILES else paths
    sample = Sample()
    with Progress(console=console, transient=True) as progress:
        for path in progress.track(chosen, description=f"reading {len(chosen)} files"):
            _read_file(path, sample, -(-RECORDS // len(chosen)), BYTES // len(chosen))
    return sample


def _read_file(path: str, sample: Sample, most_records: int, most_bytes: int) -> None:
    sample.places.append((path, len(sample.records)))
    count = size = 0
    # One more than taken, to detect whether there are more.
    for _, batch in read_batches(path, min(_BATCH, most_records + 1)):
        if count == most_records or size >= most_bytes:
            return
        taken = batch.numpy()[: most_records - count].tolist()
        sample.records += taken
        count, size = count + len(taken), size + sum(map(len, taken))
        if len(taken) < len(batch):
            return
    sample.whole[path] = count


def decoded(sample: Sample) -> pa.RecordBatch:
    """The columns of the records, a list of values per record.

    Raises:
        DataError: if a record is not a `tf.Example`, a column has several types, or its name cannot be used.
    """
    batch = _decoded(sample)
    _refuse_zero_bytes(sample, {name.encode() + b"\0" for name in batch.schema.names})
    return batch


def _refuse_zero_bytes(sample: Sample, starts: Set[bytes]) -> None:
    """Raises a DataError for a column with a zero byte in its name, where the decoder ends the name, as C does."""
    for index, record in enumerate(sample.records):
        if any(start in record for start in starts):
            example = tf.train.SequenceExample.FromString(record)
            names = (*example.context.feature, *example.feature_lists.feature_list)
            if name := next((name for name in names if "\0" in name), None):
                raise DataError(
                    f"{sample.place(index)} has a column {name!r}, whose name contains a zero byte; rename the column"
                )


def _decoded(sample: Sample) -> pa.RecordBatch:
    decoder = ExampleDecoder()

    def decode(records: list[bytes]) -> pa.RecordBatch:
        return decoder.decode(flattened(tf.constant(records)).numpy().tolist())

    def fault(count: int) -> str:
        try:
            decode(sample.records[:count])
        except tf.errors.OpError as error:
            return tensorflow_reason(error)
        except RuntimeError as error:
            return str(error).partition(": ")[2] or str(error)
        return ""

    try:
        return decode(sample.records)
    except (RuntimeError, tf.errors.OpError):
        counts = range(1, len(sample.records) + 1)
        bad = bisect.bisect_left(counts, True, key=lambda count: bool(fault(count)))
        raise DataError(
            f"{sample.place(bad)} is no tf.Example, or has a column of another type than those before it "
            f"({fault(bad + 1)})"
        ) from None
