"""Feature kind `audio`: decodes WAV files to a fixed number of samples."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_sounds
from hubline.preprocessing.kinds.encoded import EncodedKind
from hubline.preprocessing.kinds.kind import Values

_MOST_SAMPLES = 10_000_000


class AudioFeature(EncodedKind):
    """A sound: a WAV file with 16 bits a sample (PCM), at any sample rate, in a bytes column."""

    what: ClassVar[str] = "sound"

    kind: Literal["audio"]
    sample_rate: Annotated[int, Field(ge=1, le=encoded_sounds.MOST_HZ)] = Field(examples=[16000])
    """Samples per second that the module takes. Sounds with another rate are resampled."""
    seconds: Annotated[float, Field(gt=0.0, le=3600.0)] | None = Field(default=None, examples=[1.0])
    """Length that sounds are cut or padded to."""
    samples: Annotated[int, Field(ge=1, le=_MOST_SAMPLES)] | None = Field(default=None, examples=[16000])
    """The same length in samples, instead of `seconds`."""
    cut: Literal["start", "center"] = "start"
    """What to keep of a longer sound: its `start` or its `center`. A shorter one is padded with silence, at its end or
    on both sides."""

    @model_validator(mode="after")
    def _has_one_length(self) -> AudioFeature:
        if (self.seconds is None) == (self.samples is None):
            raise ValueError("set either seconds or samples, the length that sounds are cut or padded to")
        if self.length < 1:
            raise ValueError(f"seconds: {self.seconds} is less than one sample")
        if self.length > _MOST_SAMPLES:
            raise ValueError(f"{self.length:,} samples are more than {_MOST_SAMPLES:,}; set fewer seconds")
        return self

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.samples if self.samples is not None else round((self.seconds or 0.0) * self.sample_rate)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def dtype(self) -> tf.DType:
        return tf.float32

    def encoded(self, column: Values) -> tf.Tensor:
        from hubline.preprocessing.columns import one_each

        return one_each(column)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """Samples of one WAV file, float32 [samples] in [-1, 1]: the mean of its channels, resampled, cut or padded.

        Raises:
            tf.errors.InvalidArgumentError: if it is no WAV file with 16 bits a sample, or has no samples.
        """
        sound, rate = encoded_sounds.decode(encoded)
        return encoded_sounds.resampled(sound, rate, self.sample_rate, self.length, self.cut)
