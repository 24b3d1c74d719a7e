"""What hub modules gave for each example, kept in the rows of the examples: what it is called and how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.preprocessing.columns import ParsingSpec


def column(hub: str) -> str:
    """The column of a row that holds what the module `hub` gave."""
    return f"hubline.vector.{hub}"


@dataclass(frozen=True)
class Vectors:
    """The kept vectors of some hub modules."""

    sizes: Mapping[str, int]
    """How many numbers each module gives for an example, by its name in `hubs`."""
    recipe: str
    """A digest of all that they depend on but the examples: modules, what feeds them, code."""

    def spec(self, views: int) -> ParsingSpec:
        """How to parse rows that hold so many views of each example: by column, float32 of shape [views, n]."""
        return {column(hub): tf.io.FixedLenFeature([views, size], tf.float32) for hub, size in self.sizes.items()}

    def parse(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """The one view that serialized rows of shape [batch] hold: by `column`, float32 of shape [batch, n]."""
        parsed = tf.io.parse_example(rows, self.spec(views=1))
        return {name: values[:, 0] for name, values in parsed.items()}
