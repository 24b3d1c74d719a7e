"""Names and formats of the cached outputs of hub modules in the rows of examples."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.preprocessing.columns import ParsingSpec


def column(hub: str) -> str:
    """Name of the row's column with the output of the module `hub`."""
    return f"hubline.vector.{hub}"


@dataclass(frozen=True)
class CachedVectors:
    """The cached vectors of hub modules."""

    sizes: Mapping[str, int]
    """Size of each module's vectors, by name in `hubs`."""
    recipe: str
    """Digest of everything they depend on except the examples: modules, inputs, code."""

    def spec(self, views: int) -> ParsingSpec:
        """Parsing spec of rows with this many views of each example: by column, float32 of shape [views, n]."""
        return {column(hub): tf.io.FixedLenFeature([views, size], tf.float32) for hub, size in self.sizes.items()}

    def parse(self, rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """Parses serialized rows, [batch], with one view: by `column`, float32 of shape [batch, n]."""
        parsed = tf.io.parse_example(rows, self.spec(views=1))
        return {name: values[:, 0] for name, values in parsed.items()}
