"""Feature kind `video`: decodes a fixed number of frames from a clip."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds.image import ImageKind, pixels
from hubline.preprocessing.kinds.kind import Values


class VideoFeature(ImageKind):
    """A clip: a list of encoded images (JPEG, PNG, GIF or BMP) in one bytes column, in order."""

    what: ClassVar[str] = "clip"

    kind: Literal["video"]
    frames: Annotated[int, Field(ge=1, le=4096)] = Field(examples=[16])
    """Number of frames that the model sees."""
    sample: Literal["spread", "middle", "first"] = "spread"
    """Frames to take from a longer clip: `spread` evenly over it, from its `middle`, or the `first`. No other frames
    are decoded."""
    stride: Annotated[int, Field(ge=1, le=4096)] = 1
    """With `middle` and `first`: keep every n-th frame."""
    pad: Literal["repeat", "loop", "black"] = "repeat"
    """How to fill up a shorter clip: `repeat` the last frame, `loop` from the first frame, or append `black` frames."""

    @model_validator(mode="after")
    def _strides_along(self) -> VideoFeature:
        if self.stride > 1 and self.sample == "spread":
            raise ValueError("stride requires sample: middle or sample: first; spread covers the whole clip")
        return self

    @property
    def takes_lists(self) -> bool:
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.frames, *self.size, self.channels)

    def encoded(self, column: Values) -> tf.Tensor:
        """The sampled frames in order, string [batch, frames], padded with empty strings."""
        from hubline.preprocessing.columns import present

        values = present(column)
        clips = tf.RaggedTensor.from_value_rowids(values.values, values.indices[:, 0], values.dense_shape[0])
        places = self.places(clips.row_lengths())
        # The extra string at the end stands for absent frames.
        frames = tf.concat([clips.flat_values, [""]], axis=0)
        there = tf.where(places >= 0, clips.row_starts()[:, tf.newaxis] + places, tf.size(clips.flat_values, tf.int64))
        return tf.ensure_shape(tf.gather(frames, there), [None, self.frames])

    def places(self, counts: tf.Tensor) -> tf.Tensor:
        """Indices of the frames to sample from clips of given lengths.

        Args:
            counts: Frames in each clip, int64 [clips].

        Returns:
            int64 of shape [clips, frames], ascending; -1 after the last frame of a clip that is too short.
        """
        counts, numbers = counts[:, tf.newaxis], tf.range(self.frames, dtype=tf.int64)[tf.newaxis]
        if self.sample == "spread":
            # The middle of each of `frames` equal parts.
            spread = (2 * numbers + 1) * counts // (2 * self.frames)
            places = tf.where(counts > self.frames, spread, numbers)
        else:
            stretch = (self.frames - 1) * self.stride + 1
            start = tf.maximum(counts - stretch, 0) // 2 if self.sample == "middle" else tf.zeros_like(counts)
            places = start + numbers * self.stride
        return tf.where(places < counts, places, -1)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes the frames of one clip and fills it up as `pad` says.

        Raises:
            tf.errors.InvalidArgumentError: if a frame cannot be decoded, or there are no frames.
        """
        count = tf.math.count_nonzero(encoded != "", dtype=tf.int32)
        # For a clip without frames, decoding one empty string raises the documented error.
        count = tf.maximum(count, 1)
        one = tf.TensorSpec([*self.size, self.channels], tf.uint8)
        frames = tf.map_fn(partial(pixels, self), encoded[:count], fn_output_signature=one)
        return tf.ensure_shape(self._padded(frames, count), self.shape)

    def _padded(self, frames: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        if self.pad == "black":
            return tf.pad(frames, [[0, self.frames - count], [0, 0], [0, 0], [0, 0]])
        numbers = tf.range(self.frames)
        return tf.gather(frames, numbers % count if self.pad == "loop" else tf.minimum(numbers, count - 1))
