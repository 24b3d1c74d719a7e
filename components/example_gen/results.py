"""The results of all data files, and what about them stops ExampleGen."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from hubline.artifacts.examples import LeftOut, Manifest
from hubline.artifacts.splits import ALL
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.ingest_job import IngestResult
from hubline.components.example_gen.records import absent, columns_of
from hubline.components.example_gen.split_keys import key_of_record
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import salvage

_DISTINCT = 1000
"""Limit on the distinct records to count if a split is empty."""


@dataclass(frozen=True)
class Result:
    """The result for one file, or for several small files taken together."""

    group: str
    """The files' split, if files rather than records are split."""
    name: str
    """Sequence number in the artifact's file names."""
    folder: str
    ingested: IngestResult

    @property
    def first(self) -> str:
        """Path of the first file."""
        return self.ingested.parts[0].origins[0].file


def refuse_several_types(results: Sequence[Result]) -> None:
    """Checks that the columns of the label, the sample weight and the groups have one type.

    Raises:
        DataError: otherwise.
    """
    kinds = [(result.ingested.kind, result.first) for result in results if result.ingested.kind]
    labels = {kind.label: path for kind, path in kinds if kind.label}
    if len(labels) > 1:
        raise DataError(f"the labels are integers in {labels['int64']}, but strings in {labels['string']}")
    numbers = {", ".join(kind.numbers): path for kind, path in kinds}
    if len(numbers) > 1:
        listed = "; ".join(f"{types} in {path}" for types, path in numbers.items())
        raise DataError(
            f"the columns of the label, the sample weight and data.split must have one type in all files, but: {listed}"
        )


def refuse_unseen(results: Sequence[Result]) -> None:
    """Checks that some record has each column that `data.where` names.

    Raises:
        DataError: otherwise.
    """
    unseen = [name for name in results[0].ingested.unseen if all(name in each.ingested.unseen for each in results)]
    records = (record.data for result in results for record in salvage(result.first) if not record.fault)
    if unseen and (first := next(records, None)) is not None:
        raise DataError(f"data.where: no record has a column '{unseen[0]}'{absent(columns_of(first), unseen[0])}")


def refuse_empty(
    manifest: Manifest, split: HashSplit | None, results: Sequence[Result], where: str | None = None
) -> None:
    """Checks that each split has records.

    Raises:
        DataError: otherwise; says why.
    """
    counts, lost = manifest.counts, manifest.left_out
    empty = [name for name in counts if not counts[name]]
    if empty and lost and not sum(counts.values()):
        raise DataError(_nothing_left(sum(lost.values(), LeftOut()), where))
    if empty == [ALL]:
        raise DataError("the data is empty: its files contain no records")
    if empty:
        got = ", ".join(f"{name} {count}" for name, count in counts.items())
        mend = "the files that data.split names hold no record"
        if split:
            mend = _mend(sum(counts.values()), results, split)
        if empty[0] in lost:
            mend = f"data.where and data.take left out {lost[empty[0]].total:,} of its records; keep more of them"
        raise DataError(f"the split '{empty[0]}' is empty ({got} records): {mend}")


def _nothing_left(lost: LeftOut, where: str | None) -> str:
    if lost.take:
        return f"data.take takes none of {lost.take:,} records, which are few or nearly all the same; take more"
    without = f"; in {lost.no_value:,}, a column that it names has no value, or several" if lost.no_value else ""
    return f"data.where leaves nothing: none of {lost.total:,} records meets {where}{without}"


def _mend(count: int, results: Sequence[Result], split: HashSplit) -> str:
    """Advice for an empty split, if records are split by their hash."""
    files = [f"{result.folder}/{part.split}" for result in results for part in result.ingested.parts if part.count]
    if split.group:
        return _mend_groups(files, split.group)
    if split.stratify:
        return (
            f"of the classes in the column '{split.stratify}' of data.split.stratify, those with one record have it in "
            "training, and those with two have none in validation; stratify by a column with more records of each value"
        )
    distinct = int(tf.data.TFRecordDataset(files).unique().take(_DISTINCT + 1).reduce(0, lambda found, _: found + 1))
    if distinct < min(count, _DISTINCT + 1):
        return (
            f"only {distinct} of the {count:,} records are distinct, and equal ones go to the same split; give records "
            "that differ, or split by files"
        )
    return "give more data or other shares in data.split"


def _mend_groups(files: Sequence[str], group: str) -> str:
    groups: set[bytes] = set()
    for record in tf.data.TFRecordDataset(files).as_numpy_iterator():
        groups.add(key_of_record(record, group))
        if len(groups) > _DISTINCT:
            return "give more data or other shares in data.split"
    return (
        f"the column '{group}' of data.split.group has only {len(groups)} values, and the records of each stay "
        "together; give data with more of them, or other shares"
    )
