"""Rules of encoded images, clips and masks, by their headers."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, values_of
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, every, single
from hubline.preprocessing import mask_files
from hubline.preprocessing.encoded_images import are_readable, format_fault

_READABLE = Condition(are_readable, lambda encoded: format_fault(encoded) or "")


@dataclass(frozen=True)
class ImageRule(Rule):
    """A column has one encoded image of a supported format."""

    column: str

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Bytes."""
        return {self.column: tf.string}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the header."""
        images = parsed[self.column]
        return single(images, all_hold([_READABLE], images.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the header."""
        fault = count_fault(columns, self.column, "image")
        return fault or _image_fault(values_of(columns, self.column)[0], f"its image '{self.column}'")


@dataclass(frozen=True)
class ClipRule(Rule):
    """A column has any number of encoded images, but at least one."""

    column: str

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Bytes."""
        return {self.column: tf.string}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the headers."""
        frames = parsed[self.column]
        return (frames.row_lengths() > 0) & every(frames, all_hold([_READABLE], frames.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the headers. Names the first bad frame."""
        name, frames = self.column, values_of(columns, self.column)
        if not frames:
            return f"its clip '{name}' has no frames" if name in columns else count_fault(columns, name, "clip")
        faults = (_image_fault(frame, f"frame {n} of its clip '{name}'") for n, frame in enumerate(frames))
        return next(filter(None, faults), None)


def _image_fault(value: bytes | float, what: str) -> str | None:
    if not isinstance(value, bytes):
        return f"{what} is a number; it must be the bytes of an encoded image"
    fault = broken([_READABLE], value)
    return f"{what} {fault}" if fault else None


_RIGHT = "it must be a PNG that is grey or has a palette, with the number of a class for each pixel"
_SAMPLES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
"""Colour types of PNGs, by their code."""


def _are_pngs(encoded: tf.Tensor) -> tf.Tensor:
    starts = tf.strings.substr(encoded, 0, len(mask_files.MAGIC)) == mask_files.MAGIC
    return starts & (tf.strings.length(encoded) > mask_files.HEADER)


def _have_numbers(encoded: tf.Tensor) -> tf.Tensor:
    headers = tf.strings.substr(encoded, 0, mask_files.HEADER)
    samples = tf.strings.substr(headers + b"\0" * mask_files.HEADER, mask_files.DEPTH, 2)  # zeros if too short
    of_numbers = [
        bytes([depth, colour]) for depth in mask_files.DEPTHS for colour in (mask_files.GREY, mask_files.PALETTE)
    ]
    return tf.reduce_any(samples[:, tf.newaxis] == tf.constant(of_numbers), axis=1)


def _samples(encoded: bytes) -> str:
    return f"{encoded[mask_files.DEPTH]} bits a sample, {_SAMPLES.get(encoded[mask_files.COLOUR], 'unknown')}"


_MASK = [
    Condition(_are_pngs, lambda encoded: f"is no PNG: it begins with {encoded[:8]!r}"),
    Condition(_have_numbers, lambda encoded: f"is a PNG of {_samples(encoded)}"),
]


@dataclass(frozen=True)
class MaskRule(Rule):
    """A column has one PNG whose samples can be class numbers."""

    column: str

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Bytes."""
        return {self.column: tf.string}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the header."""
        encoded = parsed[self.column]
        return single(encoded, all_hold(_MASK, encoded.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the header."""
        if fault := count_fault(columns, self.column, "mask"):
            return fault
        (value,) = values_of(columns, self.column)
        fault = broken(_MASK, value) if isinstance(value, bytes) else "is a number"
        return f"its mask '{self.column}' {fault}; {_RIGHT}" if fault else None
