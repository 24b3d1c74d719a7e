"""Encoded images: supported formats, and decoding to upright pixels.

Training, Embedder, `predict`, `infer` and exported models all decode with these functions, and everything here is a
TensorFlow operation: a client that sends the bytes of a file gets the pixels that the model was trained on.

Sources: JPEG segments, ITU T.81, annex B; EXIF in JPEG, CIPA DC-008, section 4.7.2; the BMP header, `BITMAPINFOHEADER`
of the Windows API; EXIF in PNG, https://www.w3.org/TR/png-3/#eXIf; TIFF fields, TIFF 6.0, section 2.
"""

from __future__ import annotations

from collections.abc import Callable

from hubline.core.lazy_import import tf
from hubline.preprocessing.traced import traced_once

IMAGE_MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8", "BMP": b"BM"}
"""First bytes of an encoded image, by format."""
FORMATS = "a JPEG, PNG, GIF, or BMP of 8, 24 or 32 bits a pixel without compression"
"""The formats that `decode` supports, in words."""

# Header size, 12 bytes not used here, one plane, bits per pixel, and no compression.
_BMP_HEADER, _PALETTE_BITS = 54, 8
_BMP = r"BM\C{12}[\x28\x34\x38\x6c\x7c]\x00{3}\C{8}\x01\x00[\x08\x18\x20]\x00\x00{4}\C*"
_MARK, _APP1, _START_OF_SCAN, _END = 0xFF, 0xE1, 0xDA, 0xD9
"""First byte of JPEG markers, and second bytes of some markers."""
_SEARCHED = 1 << 20
"""Bytes of a file that are searched for EXIF, which comes near the start in a segment of at most 64 KiB."""
_ORIENTATION, _SHORT, _LONG = 0x0112, 3, 4
"""A TIFF tag, and two TIFF types."""
_SEGMENT_HEAD, _CHUNK_HEAD, _CHUNK_CHECKSUM, _TIFF_HEAD, _FIELD = 10, 8, 4, 8, 12
r"""Sizes in bytes: a JPEG marker with length and `Exif\0\0`; length and type of a PNG chunk; checksum of a chunk; TIFF
header; TIFF field."""


def are_readable(encoded: tf.Tensor) -> tf.Tensor:
    """Whether images are in formats that `decode` supports, judged by their headers.

    Args:
        encoded: Strings of any shape.

    Returns:
        Booleans of the same shape.
    """
    is_bmp = tf.strings.regex_full_match(tf.strings.substr(encoded, 0, _BMP_HEADER), _BMP)
    return _begins_as(encoded, "JPEG") | _begins_as(encoded, "PNG") | _begins_as(encoded, "GIF") | is_bmp


def format_fault(encoded: bytes) -> str | None:
    """Why `decode` doesn't support the format of an image; None if it does."""
    if bool(are_readable(tf.constant(encoded))):
        return None
    found = "is a BMP of another kind" if encoded.startswith(b"BM") else f"begins with {encoded[:8]!r}"
    return f"is not {FORMATS}: it {found}; hubline convert images encodes others as PNG"


def decode(encoded: tf.Tensor) -> tf.Tensor:
    """Upright pixels of an image: the first frame of a GIF, the upper 8 of 16 bits per sample, without alpha.

    Args:
        encoded: A scalar string.

    Returns:
        RGB, uint8 [height, width, 3].

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are not such an image.
    """
    # Always as RGB, because TensorFlow converts only JPEG and PNG to greyscale.
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: upright(tf.io.decode_jpeg(encoded, channels=3), orientation(encoded)),
        lambda: tf.cond(
            _begins_as(encoded, "PNG"),
            lambda: upright(tf.io.decode_png(encoded, channels=3), orientation(encoded)),
            lambda: _decode_another(encoded),
        ),
    )


def decode_window(encoded: tf.Tensor, window: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """A window of the decoded image; of a JPEG, only the window is decoded.

    Args:
        encoded: A scalar string.
        window: Maps the shape of the upright image, int32 [height, width, ...], to top, left, height and width, int32.
    """

    def of_jpeg() -> tf.Tensor:
        turn = orientation(encoded)
        lying = tf.io.extract_jpeg_shape(encoded)
        shape = _upright_shape(lying, turn)
        place = _lying_window(window(shape), shape, turn)
        return upright(tf.io.decode_and_crop_jpeg(encoded, place, channels=3), turn)

    def of_another() -> tf.Tensor:
        whole = decode(encoded)
        top, left, height, width = tf.unstack(window(tf.shape(whole)))
        return whole[top : top + height, left : left + width]

    return tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_another)


def shape_of(encoded: tf.Tensor) -> tf.Tensor:
    """Height, width and channels of the upright image, int32 [3]; a JPEG is not decoded."""
    return tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _upright_shape(tf.io.extract_jpeg_shape(encoded), orientation(encoded)),
        lambda: tf.shape(decode(encoded)),
    )


def upright(image: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Rotates and mirrors an image [height, width, channels] by an EXIF orientation, a scalar int32."""

    def turned() -> tf.Tensor:
        swaps, down, across = _turns(turn)
        swapped = tf.transpose(image, tf.where(swaps, [1, 0, 2], [0, 1, 2]))
        return tf.reverse(swapped, tf.boolean_mask([0, 1], tf.stack([down, across])))

    lying = tf.ensure_shape(image, [None, None, 3])
    return tf.ensure_shape(tf.cond(turn > 1, turned, lambda: lying), [None, None, 3])


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """EXIF orientation of an image from 1 to 8, a scalar int32; 1 if EXIF is missing, damaged or has another value.

    Args:
        encoded: A scalar string: a JPEG, or a PNG with EXIF before its pixels. Other formats have no orientation.
    """
    exif = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: _found(encoded, r"Exif\x00\x00", _exif_of_jpeg),
        lambda: tf.cond(
            _begins_as(encoded, "PNG"), lambda: _found(encoded, "eXIf", _exif_of_png), lambda: tf.constant(b"")
        ),
    )
    return tf.cond(exif == b"", lambda: tf.constant(1), lambda: _orientation_in(exif))


def _begins_as(encoded: tf.Tensor, form: str) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(IMAGE_MAGIC[form])) == IMAGE_MAGIC[form]


@traced_once
def _decode_another(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a GIF or BMP, but nothing else that some version of TensorFlow supports."""
    with tf.control_dependencies([tf.debugging.Assert(are_readable(encoded), [f"the image is not {FORMATS}"])]):
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    has_palette = _begins_as(encoded, "BMP") & (_bytes_at(encoded, 0, _BMP_HEADER)[28] == _PALETTE_BITS)
    # TensorFlow returns palette indices of a BMP as grey values.
    return tf.cond(has_palette, lambda: _coloured(pixels[..., 0], encoded), lambda: pixels)


def _coloured(indices: tf.Tensor, bmp: tf.Tensor) -> tf.Tensor:
    """Colours, uint8 [height, width, 3], for indices into a BMP's palette."""
    header = _bytes_at(bmp, 0, _BMP_HEADER)
    start, pixels = 14 + header[14], _number(header[13:9:-1])
    stored = tf.strings.substr(bmp, start, tf.clip_by_value(pixels - start, 0, 4 * 256))
    palette = tf.reshape(tf.io.decode_raw(stored, tf.uint8, fixed_length=4 * 256), [256, 4])
    return tf.gather(palette[:, 2::-1], tf.cast(indices, tf.int32))


def _found(encoded: tf.Tensor, pattern: str, exif: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Result of `exif` for an image that contains a pattern; empty if it doesn't.

    Most images have no EXIF. Searching for a few letters takes microseconds; going from segment to segment takes tenths
    of a millisecond. Replacement is TensorFlow's fastest operation that searches for a fixed text.
    """
    head = tf.strings.substr(encoded, 0, _SEARCHED)
    rest = tf.strings.regex_replace(head, pattern, "", replace_global=False)
    is_there = tf.strings.length(rest) < tf.strings.length(head)
    return tf.cond(is_there, lambda: exif(encoded), lambda: tf.constant(b""))


@traced_once
def _exif_of_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """TIFF structure in the first EXIF segment before a JPEG's pixels; empty if there is none."""
    size = tf.strings.length(encoded)
    signature = tf.constant([_MARK, _APP1, *b"Exif\0\0"])

    def look(place: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        head = _bytes_at(encoded, place, _SEGMENT_HEAD)
        mark, length = head[1], 256 * head[2] + head[3]
        is_exif = tf.reduce_all(tf.concat([head[:2], head[4:]], axis=0) == signature)
        ends = (head[0] != _MARK) | (mark == _START_OF_SCAN) | (mark == _END) | is_exif
        following = tf.where(mark == _MARK, place + 1, place + 2 + length)  # a marker may be preceded by fill bytes
        start, count = tf.minimum(place + _SEGMENT_HEAD, size), tf.maximum(length - 8, 0)
        exif = tf.strings.substr(encoded, start, tf.where(is_exif, count, 0))
        return tf.where(ends, size, following), exif

    return tf.while_loop(lambda place, exif: place < size, look, (2, tf.constant(b"")))[1]


@traced_once
def _exif_of_png(encoded: tf.Tensor) -> tf.Tensor:
    """TIFF structure in the eXIf chunk before a PNG's pixels; empty if there is none."""
    size = tf.strings.length(encoded)

    def look(place: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        head = tf.strings.substr(encoded, place, _CHUNK_HEAD)
        length = tf.clip_by_value(_number(_bytes_at(head, 0, 4)), 0, size)
        name = tf.strings.substr(head, tf.minimum(tf.strings.length(head), 4), 4)
        is_exif = name == b"eXIf"
        ends = is_exif | (name == b"IDAT") | (name == b"IEND")
        start = tf.minimum(place + _CHUNK_HEAD, size)
        exif = tf.strings.substr(encoded, start, tf.where(is_exif, length, 0))
        return tf.where(ends, size, start + length + _CHUNK_CHECKSUM), exif

    start = (len(IMAGE_MAGIC["PNG"]), tf.constant(b""))
    return tf.while_loop(lambda place, exif: place < size, look, start)[1]


@traced_once
def _orientation_in(tiff: tf.Tensor) -> tf.Tensor:
    """Orientation in the first directory of a TIFF structure; 1 if there is none."""
    order = tf.strings.substr(tiff, 0, 4)
    is_little, is_big = order == b"II*\0", order == b"MM\0*"
    size = tf.strings.length(tiff)

    def number(raw: tf.Tensor) -> tf.Tensor:
        return _number(tf.where(is_little, tf.reverse(raw, [-1]), raw))

    start = tf.clip_by_value(number(_bytes_at(tiff, 0, _TIFF_HEAD)[4:]), 0, size)
    first = tf.minimum(start + 2, size)
    count = tf.minimum(number(_bytes_at(tiff, start, 2)), (size - first) // _FIELD)
    stored = tf.strings.substr(tiff, first, count * _FIELD)
    fields = tf.reshape(tf.cast(tf.io.decode_raw(stored, tf.uint8), tf.int32), [-1, _FIELD])
    kinds, short, long = number(fields[:, 2:4]), number(fields[:, 8:10]), number(fields[:, 8:12])
    values = tf.where(kinds == _SHORT, short, long)
    are_it = (number(fields[:, :2]) == _ORIENTATION) & (number(fields[:, 4:8]) == 1)
    are_it &= (kinds == _SHORT) | (kinds == _LONG)
    orientation = tf.concat([[1], tf.boolean_mask(values, are_it)], axis=0)[-1]
    return tf.where((is_little | is_big) & (orientation >= 1) & (orientation <= 8), orientation, 1)


def _bytes_at(encoded: tf.Tensor, place: tf.Tensor | int, count: int) -> tf.Tensor:
    """Bytes from a position on, int32 [count]; zeros beyond the end."""
    return tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, place, count), tf.uint8, fixed_length=count), tf.int32)


def _number(raw: tf.Tensor) -> tf.Tensor:
    """Big-endian bytes, int32 [..., n], as int32 [...]; negative from 2**31 on."""
    return tf.reduce_sum(raw * [256**power for power in reversed(range(raw.shape[-1]))], axis=-1)


def _turns(turn: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Whether an orientation swaps height and width, and then mirrors vertically and horizontally."""
    return turn >= 5, _is_one_of(turn, (3, 4, 7, 8)), _is_one_of(turn, (2, 3, 6, 7))


def _is_one_of(turn: tf.Tensor, some: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(turn == tf.constant(some))


def _upright_shape(lying: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    return tf.where(turn >= 5, tf.gather(lying, [1, 0, 2]), lying)


def _lying_window(window: tf.Tensor, shape: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Maps a window of the upright image, which has the given shape, to the stored image."""
    top, left, height, width = tf.unstack(window)
    swaps, down, across = _turns(turn)
    top = tf.where(down, shape[0] - top - height, top)
    left = tf.where(across, shape[1] - left - width, left)
    return tf.where(swaps, tf.stack([left, top, width, height]), tf.stack([top, left, height, width]))
