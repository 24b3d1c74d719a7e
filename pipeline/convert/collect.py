"""The story of converting files that give an example each: make the examples on all cores, write and show them."""

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
from hubline.pipeline.convert.kinds import Kind
from hubline.pipeline.convert.output import Destination, check_free, replacing
from hubline.pipeline.convert.source import BATCH_BYTES
from hubline.pipeline.convert.table import progress_of, say, show_classes, show_columns

if TYPE_CHECKING:
    from hubline.pipeline.convert.record import Record

Result = TypeVar("Result")

_NAMED = 100
"""At most so many bad files are listed where a person reads."""


class Collected(Conversion):
    """What the conversion of a collection came to."""

    classes: dict[str, int]
    """How often each value of the label comes."""
    notes: tuple[str, ...]
    bad: tuple[str, ...]
    """What was left out, and why."""


@dataclass
class _Met:
    """What was met in the examples that were made."""

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
) -> Collected:
    """Converts a collection and shows how it goes.

    Args:
        collection: What is converted.
        to: Where to.
        on_bad: Whether bad items end the conversion, once all are known, or are left out and listed.
        console: Shows progress on a terminal, then the columns and classes.
        workers: How many threads make examples; as many as there are cores where this is None. What is written does
            not depend on it.

    Raises:
        UserError: where items are bad and `on_bad` is `fail`; where no item is left; where the output cannot be
            written. Nothing is written then.
    """
    began = time.monotonic()
    output = to.output.resolve()
    check_free(output, to.overwrite)
    met = _Met({name: Tally() for name in collection.columns}, bad=list(collection.bad))
    with progress_of(console, "examples") as progress, replacing(output) as folder:
        shards = _write(collection, to, on_bad, workers or _cores(), folder, met, progress)
        _refuse(met, on_bad, to.shards)
        if to.shards and met.bad:
            shards = _share_anew(folder, shards, met.rows, to)
    notes = [*collection.notes, *(f"{count:,} {change}" for change, count in sorted(met.changes.items()))]
    done = Collected(
        output=str(output),
        shards=tuple(shards),
        rows=met.rows,
        columns=tuple(tally.settle(name, collection.columns[name]) for name, tally in met.tallies.items()),
        seconds=round(time.monotonic() - began, 3),
        classes={} if collection.columns.get(collection.label) is Kind.FLOAT else dict(sorted(met.classes.items())),
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
    met: _Met,
    progress: Progress,
) -> list[str]:
    """Writes the examples and gives the names of the shards; with a bad item, where these end it, it only looks on."""
    task = progress.add_task("starting TensorFlow", total=collection.count)
    # Imported here: it takes seconds, and mistakes are found without it.
    import tensorflow as tf

    from hubline.pipeline.convert.record import record_of
    from hubline.pipeline.convert.shards import write_shards

    def batches() -> Iterator[tf.Tensor]:
        progress.update(task, description="converting")
        batch, size = [], 0
        threads = workers if collection.in_threads else 1
        for item, result in _in_order(partial(record_of, collection), collection.items, threads):
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


def _in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[tuple[Item, Result]]:
    """What work makes of each item, by several threads. Two results for each of them lie ready at most."""
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


def _refuse(met: _Met, on_bad: Literal["fail", "skip"], shards: int | None) -> None:
    """Ends the conversion where there is nothing that it may write."""
    if met.bad and (on_bad == "fail" or not met.rows):
        ending = (
            "mend them, or say --bad skip to leave them out" if met.rows else "nothing is left that could be converted"
        )
        raise UserError("\n".join([*_listed(met.bad), f"{len(met.bad):,} bad, {met.rows:,} good; {ending}"]))
    if shards and shards > met.rows:
        raise UserError(f"--shards {shards}: there are {met.rows:,} examples, and no shard can be empty")


def _share_anew(folder: Path, shards: Sequence[str], rows: int, to: Destination) -> list[str]:
    """Shards with equal parts of the rows, of those that counted on items that turned out to be bad."""
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


def _show(console: Console, done: Collected, label: str) -> None:
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
