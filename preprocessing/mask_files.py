"""Mask files: PNGs whose samples are class numbers.

A PNG header is 33 bytes long: https://www.w3.org/TR/png-3/#11IHDR. Everything here consists of TensorFlow operations.
"""

from __future__ import annotations

import zlib

from hubline.core.lazy_import import tf

MAGIC = b"\x89PNG\r\n\x1a\n"
"""First bytes of a PNG."""
DEPTH, COLOUR, HEADER = 24, 25, 33
"""Offsets of the bits per sample and of the colour type, and the end of the header."""
GREY, PALETTE = 0, 3
"""Colour types whose samples can be class numbers."""
DEPTHS = (1, 2, 4, 8)
"""Supported bits per sample."""

_GREY_FOR_PALETTE = zlib.crc32(b"IHDR" + bytes(13)) ^ zlib.crc32(b"IHDR" + bytes(9) + bytes([PALETTE]) + bytes(3))
"""A checksum is linear: changing one byte of a header of this length changes the same bits of the checksum."""
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
