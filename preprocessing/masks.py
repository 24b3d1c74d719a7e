"""Masks: PNGs whose pixels are class numbers.

A PNG header is 33 bytes long: https://www.w3.org/TR/png-3/#11IHDR. Everything here consists of TensorFlow operations.
"""

from __future__ import annotations

import zlib

from hubline.core.errors import tensorflow_reason
from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.image import Pictures
from hubline.preprocessing.labels.pixels import PixelsLabel

MAGIC = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG."""
DEPTH, COLOUR, HEADER = 24, 25, 33
"""Offsets of the bits per sample and of the colour type, and the end of the header."""
GREY, PALETTE = 0, 3
"""Colour types whose samples can be class numbers."""
DEPTHS = (1, 2, 4, 8)
"""Supported bits per sample."""
LEFT_OUT = 255
"""Number in decoded masks for pixels that training and evaluation ignore; no class has it."""

_GREY_FOR_PALETTE = zlib.crc32(b"IHDR" + bytes(13)) ^ zlib.crc32(b"IHDR" + bytes(9) + bytes([PALETTE]) + bytes(3))
"""A checksum is linear: changing one byte of a header of this length changes the same bits of the checksum."""
_SHOWN = 5
_LIFT = 1e-3
"""In pixels: above the rounding error of float32 coordinates for images of up to some 8,000 pixels."""
_BYTES = [bytes([number]) for number in range(256)]


def numbers(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one mask.

    Args:
        encoded: A scalar string: a PNG, grey or with a palette, of at most 8 bits per sample.

    Returns:
        uint8 of shape [height, width, 1]: the samples as stored; for a palette, the indices.

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are not such a PNG.
    """
    header = tf.io.decode_raw(tf.strings.substr(encoded, 0, HEADER), tf.uint8)
    is_palette = header[COLOUR] == PALETTE
    # TensorFlow stretches grey of fewer bits to the range up to 255.
    unit = 255 // (tf.bitwise.left_shift(1, tf.cast(header[DEPTH], tf.int32)) - 1)
    samples = tf.io.decode_png(tf.where(is_palette, _as_grey(encoded, header), encoded), channels=1)
    return samples // tf.cast(unit, tf.uint8)


def _as_grey(encoded: tf.Tensor, header: tf.Tensor) -> tf.Tensor:
    """Turns a PNG with a palette into a grey one with the indices as samples, because TensorFlow would decode colours.

    The two differ in one byte of the header, its checksum, and the palette before the pixels.
    """
    difference = [0] * COLOUR + [PALETTE] + [0] * 3 + list(_GREY_FOR_PALETTE.to_bytes(4, "big"))
    changed = tf.bitwise.bitwise_xor(header, tf.constant(difference, tf.uint8))
    start = tf.strings.reduce_join(tf.gather(tf.constant(_BYTES), tf.cast(changed, tf.int32)))
    pixels = tf.strings.regex_replace(
        tf.strings.substr(encoded, HEADER, -1), r"^\C*?(\C{4}IDAT)", r"\1", replace_global=False
    )
    return start + pixels


def fitted(label: PixelsLabel, feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """One mask, mapped to the model's input image.

    Args:
        label: The label, for its classes.
        feature: How the image is fitted.
        encoded: A scalar string.

    Returns:
        uint8 of the feature's size, [height, width, 1]: class numbers and `LEFT_OUT`.
    """
    return image.mask(feature, _of_classes(label, numbers(encoded)), LEFT_OUT)


def counts(label: PixelsLabel, encoded: tf.Tensor) -> tf.Tensor:
    """Pixels of each class in one mask, a scalar string; int64 [classes]."""
    numbered = tf.cast(tf.reshape(_of_classes(label, numbers(encoded)), [-1]), tf.int32)
    return tf.math.bincount(numbered, minlength=256, maxlength=256, dtype=tf.int64)[: len(label.classes)]


def seen(label: PixelsLabel, encoded: tf.Tensor, covers: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """One mask, mapped to the part of its image that a model's output covers.

    Args:
        label: The label, for its classes.
        encoded: A scalar string.
        covers: That part, float32 [4]: top, left, bottom and right as fractions of the image; may extend beyond it.
        size: Height and width of the model's output.

    Returns:
        uint8 [height, width, 1]: the class of the nearest pixel, and `LEFT_OUT` outside the image.
    """
    numbered = _of_classes(label, numbers(encoded))
    covers = tf.cast(covers, tf.float64)
    rows, rows_there = _nearest(covers[0], covers[2], size[0], tf.shape(numbered)[0])
    columns, columns_there = _nearest(covers[1], covers[3], size[1], tf.shape(numbered)[1])
    picked = tf.gather(tf.gather(numbered, rows), columns, axis=1)
    there = rows_there[:, tf.newaxis, tf.newaxis] & columns_there[tf.newaxis, :, tf.newaxis]
    return tf.ensure_shape(tf.where(there, picked, tf.constant(LEFT_OUT, tf.uint8)), [*size, 1])


def _nearest(begin: tf.Tensor, end: tf.Tensor, count: int, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels of an image, along one axis, that the centres of the output's pixels fall into, int32 [count], and which
    of these lie within the image. `begin` and `end` are fractions of `length`."""
    centres = begin + (tf.range(count, dtype=tf.float64) + 0.5) / count * (end - begin)
    # Coordinates are float32: a centre between two pixels is lifted into the second, as in TensorFlow's resizing.
    pixel = tf.cast(tf.floor(centres * tf.cast(length, tf.float64) + _LIFT), tf.int32)
    return tf.clip_by_value(pixel, 0, length - 1), (pixel >= 0) & (pixel < length)


def is_right(label: PixelsLabel, encoded: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Whether a mask has its image's size and contains only class numbers; `fault` says the same in words.

    Args:
        label: The label, for its classes.
        encoded: A scalar string.
        shape: Shape of the image, int32 [height, width, ...].

    Raises:
        tf.errors.InvalidArgumentError: if the mask cannot be decoded.
    """
    mask = numbers(encoded)
    return tf.reduce_all(tf.shape(mask)[:2] == shape[:2]) & ~tf.reduce_any(_of_no_class(label, mask))


def fault(label: PixelsLabel, encoded: bytes, shape: tf.Tensor) -> str | None:
    """What is wrong with a mask, in words, or None. Arguments as in `is_right`; eager only."""
    try:
        mask = numbers(encoded)
    except tf.errors.InvalidArgumentError as error:
        return f"its mask '{label.column}' does not decode: {tensorflow_reason(error)}"
    (high, wide), (height, width) = mask.shape[:2], shape.numpy()[:2]
    if (high, wide) != (height, width):
        sizes = f"{wide}x{high} pixels (width x height), and its picture, upright, {width}x{height}"
        return f"its mask '{label.column}' is {sizes}"
    strangers = tf.boolean_mask(mask, _of_no_class(label, mask)).numpy()
    if strangers.size:
        found = ", ".join(map(str, sorted(set(strangers.tolist()))[:_SHOWN]))
        ignored = "" if label.ignore is None else f", and {label.ignore} is of none"
        return (
            f"its mask '{label.column}' has numbers that no class has, such as {found}, in {strangers.size:,} pixels; "
            f"the classes have those from 0 to {len(label.classes) - 1}{ignored}"
        )
    return None


def _of_no_class(label: PixelsLabel, mask: tf.Tensor) -> tf.Tensor:
    numbers = tf.cast(mask, tf.int32)
    return (numbers >= len(label.classes)) & (numbers != (-1 if label.ignore is None else label.ignore))


def _of_classes(label: PixelsLabel, mask: tf.Tensor) -> tf.Tensor:
    """Replaces the number for pixels without a class with `LEFT_OUT`."""
    return mask if label.ignore is None else tf.where(mask == label.ignore, tf.constant(LEFT_OUT, tf.uint8), mask)
