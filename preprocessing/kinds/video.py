"""Kind `video`: from the encoded frames of a clip to a fixed number of them as pixels."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds.image import Pictures, pixels
from hubline.preprocessing.kinds.kind import Values


class VideoFeature(Pictures):
    """A clip: a list of encoded images (JPEG, PNG, GIF or BMP) in one bytes column, one after the other."""

    kind: Literal["video"]
    frames: Annotated[int, Field(ge=1, le=4096)] = Field(examples=[16])
    """How many frames the model sees."""
    sample: Literal["spread", "middle", "first"] = "spread"
    """Which those are of a longer clip: `spread` evenly over it, those in its `middle`, or the `first`. The others are
    never decoded."""
    stride: Annotated[int, Field(ge=1, le=4096)] = 1
    """With `middle` and `first`, every how manyth frame is taken."""
    pad: Literal["repeat", "loop", "black"] = "repeat"
    """What follows where a clip is shorter: its last frame again, the clip from its beginning, or black frames."""

    @model_validator(mode="after")
    def _strides_along(self) -> VideoFeature:
        if self.stride > 1 and self.sample == "spread":
            raise ValueError("stride is for sample: middle and sample: first; spread goes over the whole clip")
        return self

    @property
    def takes_lists(self) -> bool:
        """All frames."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """Frames, height, width and channels."""
        return (self.frames, *self.size, self.channels)

    def encoded(self, column: Values) -> tf.Tensor:
        """The frames that are taken, in their order, string [batch, frames]; empty strings behind those there are."""
        from hubline.preprocessing.columns import present

        values = present(column)
        clips = tf.RaggedTensor.from_value_rowids(values.values, values.indices[:, 0], values.dense_shape[0])
        places = self.places(clips.row_lengths())
        # The string added at the end is what stands where there is no frame.
        frames = tf.concat([clips.flat_values, [""]], axis=0)
        there = tf.where(places >= 0, clips.row_starts()[:, tf.newaxis] + places, tf.size(clips.flat_values, tf.int64))
        return tf.ensure_shape(tf.gather(frames, there), [None, self.frames])

    def places(self, counts: tf.Tensor) -> tf.Tensor:
        """The places in clips of so many frames, int64 [clips], of those that are taken.

        Returns:
            int64 of shape [clips, frames], ascending; -1 behind the last where a clip is too short.
        """
        counts, numbers = counts[:, tf.newaxis], tf.range(self.frames, dtype=tf.int64)[tf.newaxis]
        if self.sample == "spread":
            # The middles of equal parts.
            spread = (2 * numbers + 1) * counts // (2 * self.frames)
            places = tf.where(counts > self.frames, spread, numbers)
        else:
            stretch = (self.frames - 1) * self.stride + 1
            start = tf.maximum(counts - stretch, 0) // 2 if self.sample == "middle" else tf.zeros_like(counts)
            places = start + numbers * self.stride
        return tf.where(places < counts, places, -1)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """The pixels of all frames, those that a shorter clip lacks as `pad` says.

        Raises:
            tf.errors.InvalidArgumentError: where a frame does not decode, or there is none.
        """
        count = tf.math.count_nonzero(encoded != "", dtype=tf.int32)
        # Of a clip without frames an empty string is decoded, and that raises what is to be raised.
        count = tf.maximum(count, 1)
        one = tf.TensorSpec([*self.size, self.channels], tf.uint8)
        frames = tf.map_fn(partial(pixels, self), encoded[:count], fn_output_signature=one)
        return tf.ensure_shape(self._padded(frames, count), self.shape)

    def _padded(self, frames: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        if self.pad == "black":
            return tf.pad(frames, [[0, self.frames - count], [0, 0], [0, 0], [0, 0]])
        numbers = tf.range(self.frames)
        return tf.gather(frames, numbers % count if self.pad == "loop" else tf.minimum(numbers, count - 1))
