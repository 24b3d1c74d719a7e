"""Collections of one file per example: the items, and how their examples are made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hubline.pipeline.convert.kinds import CellType
from hubline.preprocessing.image_files import BadFile

Item = TypeVar("Item")
Values = Sequence[bytes | int | float]
Row = Mapping[str, Values]
"""Values of an example by column; columns without values are absent."""


Bad = BadFile
"""Raised if no example can be made of a file; the message says why."""


@dataclass(frozen=True)
class ConvertedExample:
    """An example."""

    row: Row
    changes: tuple[str, ...] = ()
    """Changes to the file's content, in words that are counted and shown."""


@dataclass(frozen=True)
class Collection(Generic[Item]):
    """Items to convert, one example each."""

    items: Iterable[Item]
    """In the order of the examples."""
    count: int
    """Number of items."""
    place: Callable[[Item], str]
    """Where an item is, for error messages."""
    make: Callable[[Item], ConvertedExample]
    """Makes the example; raises `Bad` if that is impossible. Called from several threads."""
    columns: Mapping[str, CellType]
    """Columns of the examples and their kinds."""
    label: str
    """Column whose values are counted."""
    steps: frozenset[str] = frozenset()
    """Columns that become feature lists, one step per value. If there are any, records are tf.SequenceExamples."""
    bad: Sequence[str] = ()
    """Items that were found bad while listing."""
    notes: Sequence[str] = ()
    """Notes for the user."""
    in_threads: bool = True
    """Whether threads speed up making examples, because decoding and reading release the GIL."""
