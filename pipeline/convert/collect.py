"""Converts collections of one file per example: makes examples on all cores, writes them and shows the result."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from rich.console import Console
from rich.progress import Progress

from hubline.core.errors import UserError, tensorflow_reason
from hubline.pipeline.convert.collection import Collection, Item
from hubline.pipeline.convert.columns import Tally
from hubline.pipeline.convert.convert import Conversion
from hubline.pipeline.convert.kinds import CellType, Reading
from hubline.pipeline.convert.output import Destination, check_free, replacing
from hubline.pipeline.convert.source import BATCH_BYTES
from hubline.pipeline.convert.table import progress_of, say, show_classes, show_columns

if TYPE_CHECKING:
    from hubline.pipeline.convert.record import Record

Result = TypeVar("Result")

_NAMED = 100
"""Maximum number of bad files listed on a terminal."""


class CollectionConversion(Conversion):
    """Result of converting a collection."""

    classes: dict[str, int]
    """Number of examples by label value."""
    notes: tuple[str, ...]
    bad: tuple[str, ...]
    """Items that were left out, with reasons."""


@dataclass
class _Counts:
    """Counts over the examples made so far."""

    tallies: dict[str, Tally]
    classes: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    rows: int = 0

    def add(self, record: "Record") -> None:
        self.rows += 1
        for name, tally in self.tallies.items():
            tally.add_row(*record.seen[name])
        self.classes.update(record.classes)
        self.changes.update(record.changes)


def collect(
    collection: Collection,
    to: Destination,
    on_bad: Literal["fail", "skip"],
    console: Console,
    workers: int | None = None,
) -> CollectionConversion:
    """Converts a collection and shows its progress.

    Args:
        collection: The collection.
        to: Where to write.
        on_bad: Whether bad items stop the conversion, once all are known, or are left out and listed.
        console: Shows progress on a terminal, then the columns and classes.
        workers: Number of threads that make examples; None for the number of cores. The output doesn't depend on it.

    Raises:
        UserError: if items are bad and `on_bad` is `fail`, no item is left, or the output cannot be written. Nothing is
            written then.
    """
    began = time.monotonic()
    output = to.output.resolve()
    check_free(output, to.overwrite)
    met = _Counts({name: Tally() for name in collection.columns}, bad=list(collection.bad))
    with progress_of(console, "examples") as progress, replacing(output) as folder:
        shards = _write(collection, to, on_bad, workers or _cores(), folder, met, progress)
        _refuse(met, on_bad, to.shards)
        if to.shards and met.bad:
            shards = _share_anew(folder, shards, met.rows, to)
    notes = [*collection.notes, *(f"{count:,} {change}" for change, count in sorted(met.changes.items()))]
    done = CollectionConversion(
        output=str(output),
        shards=tuple(shards),
        rows=met.rows,
        columns=tuple(tally.settle(name, Reading(collection.columns[name])) for name, tally in met.tallies.items()),
        seconds=round(time.monotonic() - began, 3),
        classes={} if collection.columns.get(collection.label) is CellType.FLOAT else dict(sorted(met.classes.items())),
        notes=tuple(notes),
        bad=tuple(met.bad),
    )
    _show(console, done, collection.label)
    return done


def _write(
    collection: Collection,
    to: Destination,
    on_bad: Literal["fail", "skip"],
    workers: int,
    folder: Path,
    met: _Counts,
    progress: Progress,
) -> list[str]:
    """Writes the examples and returns the names of the shards. After a bad item with `fail`, only checks the rest."""
    task = progress.add_task("starting TensorFlow", total=collection.count)
    # Imported here because it takes seconds, and errors are found without it.
    import tensorflow as tf

    from hubline.pipeline.convert.record import record_of
    from hubline.pipeline.convert.shards import write_shards

    def batches() -> Iterator[tf.Tensor]:
        progress.update(task, description="converting")
        batch, size = [], 0
        threads = workers if collection.in_threads else 1
        for item, result in in_order(partial(record_of, collection), collection.items, threads):
            progress.advance(task)
            if isinstance(result, str):
                met.bad.append(f"{collection.place(item)}: {result}")
                continue
            met.add(result)
            if met.bad and on_bad == "fail":
                continue
            batch.append(result.serialized)
            size += len(result.serialized)
            if size >= BATCH_BYTES:
                yield tf.constant(batch, tf.string)
                batch, size = [], 0
        if batch:
            yield tf.constant(batch, tf.string)

    try:
        return write_shards(batches(), folder, collection.count, to.shards, to.gzip)
    except tf.errors.OpError as error:
        raise UserError(f"{to.output}: cannot be written: {tensorflow_reason(error)}") from error


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """Applies `work` to each item in several threads, keeping the order. At most two results per thread are waiting."""
    if workers == 1:
        yield from ((item, work(item)) for item in items)
        return
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(work, item)))
                if len(pending) > 2 * workers:
                    done, result = pending.popleft()
                    yield done, result.result()
            yield from ((done, result.result()) for done, result in pending)
        finally:
            pool.shutdown(cancel_futures=True)


def _refuse(met: _Counts, on_bad: Literal["fail", "skip"], shards: int | None) -> None:
    """Stops the conversion if its result must not be written."""
    if met.bad and (on_bad == "fail" or not met.rows):
        ending = "fix them, or skip them with --bad skip" if met.rows else "there is nothing left to convert"
        raise UserError("\n".join([*_listed(met.bad), f"{len(met.bad):,} bad, {met.rows:,} good; {ending}"]))
    if shards and shards > met.rows:
        raise UserError(f"--shards {shards}: there are only {met.rows:,} examples, and shards cannot be empty")


def _share_anew(folder: Path, shards: Sequence[str], rows: int, to: Destination) -> list[str]:
    """Redistributes rows evenly over shards whose sizes counted items that turned out to be bad."""
    import tensorflow as tf

    from hubline.pipeline.convert.shards import write_shards

    again = folder / "again"
    again.mkdir()
    records = tf.data.TFRecordDataset([str(folder / name) for name in shards], "GZIP" if to.gzip else "")
    names = write_shards(records.batch(16), again, rows, to.shards, to.gzip)
    for name in shards:
        (folder / name).unlink()
    for name in names:
        (again / name).rename(folder / name)
    again.rmdir()
    return names


def _show(console: Console, done: CollectionConversion, label: str) -> None:
    show_columns(console, done.columns, done.rows)
    if done.classes:
        console.print()
        show_classes(console, label, done.classes)
    say(console, done.notes, "yellow")
    if done.bad:
        say(console, [*_listed(done.bad), f"{len(done.bad):,} bad, left out"], "red")


def _listed(bad: Sequence[str]) -> list[str]:
    return [*bad[:_NAMED], *([f"… and {len(bad) - _NAMED:,} more"] if len(bad) > _NAMED else [])]


def _cores() -> int:
    return len(os.sched_getaffinity(0))
