"""What is converted where files give an example each: the items, and how their examples are made."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from hubline.pipeline.convert.kinds import Kind
from hubline.preprocessing.image_files import BadFile

Item = TypeVar("Item")
Values = Sequence[bytes | int | float]
Row = Mapping[str, Values]
"""The values of an example by column; none of a column that it does not have."""


Bad = BadFile
"""Raised where no example can be made of a file; the message says why."""


@dataclass(frozen=True)
class Made:
    """An example."""

    row: Row
    changes: tuple[str, ...] = ()
    """What was done to what the file holds, in words that are counted and shown."""


@dataclass(frozen=True)
class Collection(Generic[Item]):
    """What is converted: items that give an example each."""

    items: Iterable[Item]
    """In the order of the examples."""
    count: int
    """How many there are."""
    place: Callable[[Item], str]
    """Where an item stands, as an error says it."""
    make: Callable[[Item], Made]
    """Makes its example; raises `Bad` where it cannot. Several threads call it at once."""
    columns: Mapping[str, Kind]
    """The columns of the examples, and what they hold."""
    label: str
    """The column whose values are counted."""
    steps: frozenset[str] = frozenset()
    """Columns that become a feature list, with a step for each value; with any, records are tf.SequenceExamples."""
    bad: Sequence[str] = ()
    """What was found to be bad when the items were listed."""
    notes: Sequence[str] = ()
    """What the user may not expect."""
    in_threads: bool = True
    """Whether threads make the examples faster: decoding and reading files let go of Python meanwhile."""
