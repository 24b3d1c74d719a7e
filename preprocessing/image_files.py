"""Image files as stored in records: the rules by which `convert` and `predict` read files."""

import io
from typing import IO

from PIL import ExifTags, Image

from hubline.core.errors import tensorflow_reason
from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_images

_OF_PNG = ("1", "L", "LA", "P", "I;16", "I;16B", "RGB", "RGBA")
"""Pillow modes that PNG supports."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Pillow transposition for each EXIF orientation."""


class BadFile(Exception):
    """A file that cannot be used; the message says why."""


def as_record(data: bytes) -> bytes:
    """An image file as stored in a record: unchanged if models can decode it, otherwise as an upright PNG.

    Raises:
        BadFile: if Pillow cannot read it either.
    """
    return data if is_kept(data) else encoded(upright(opened(data), orientation(data)), "PNG")


def is_kept(data: bytes) -> bool:
    """Whether records contain this file unchanged."""
    return bool(encoded_images.are_readable(tf.constant(data)))


def orientation(data: bytes) -> int:
    """EXIF orientation of an image file, 1 to 8; for a file that is kept unchanged, as `encoded_images.decode` sees
    it."""
    if is_kept(data):
        return int(encoded_images.orientation(tf.constant(data)))
    try:
        return opened(data).getexif().get(ExifTags.Base.Orientation, 1)
    except BadFile:
        raise
    except Exception:  # an image with unreadable EXIF is still an image
        return 1


def shape(data: bytes) -> tuple[int, int]:
    """Height and width of an image file that is kept unchanged, upright.

    Raises:
        BadFile: if it cannot be decoded.
    """
    try:
        if data.startswith(encoded_images.IMAGE_MAGIC["GIF"]):
            opened(data).load()  # TensorFlow fills the missing part of a truncated GIF with black
        height, width, _ = encoded_images.decode(tf.constant(data)).shape
    except BadFile:
        raise
    except tf.errors.OpError as error:
        raise BadFile(f"does not decode: {tensorflow_reason(error)}") from error
    except Exception as error:
        raise undecodable(error) from error
    return height, width


def upright(image: Image.Image, turn: int) -> Image.Image:
    """Rotates and mirrors an image by an EXIF orientation.

    Raises:
        BadFile: if it cannot be decoded.
    """
    try:
        return image.transpose(_TURNS[turn]) if turn in _TURNS else image
    except Exception as error:
        raise undecodable(error) from error


def is_image(file: IO[bytes]) -> bool:
    """Whether Pillow recognizes an image in a file, judged by its header."""
    try:
        with Image.open(file):
            return True
    except Exception:  # decoders raise anything
        return False


def opened(data: bytes) -> Image.Image:
    """Opens an image without decoding its pixels.

    Raises:
        BadFile: if it is not an image.
    """
    if not data:
        raise BadFile("the file is empty")
    try:
        return Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        raise BadFile(f"is not an image: it starts with {data[:8]!r}") from None
    except Exception as error:
        raise undecodable(error) from error


def encoded(image: Image.Image, form: str, quality: int = 95, subsampling: str = "4:4:4") -> bytes:
    """Encodes an image as PNG, or as JPEG with the given quality and chroma subsampling.

    Raises:
        BadFile: if it cannot be decoded, or its pixels have more bits than PNG supports.
    """
    out = io.BytesIO()
    try:
        if form == "JPEG":
            plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
            plain.save(out, "JPEG", quality=quality, subsampling=subsampling)
        elif image.mode in ("I", "F"):
            raise BadFile(f"has 32-bit pixels (mode {image.mode}), which PNG doesn't support")
        else:
            (image if image.mode in _OF_PNG else image.convert("RGB")).save(out, "PNG")
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise undecodable(error) from error
    return out.getvalue()


def undecodable(error: Exception) -> BadFile:
    """The error for an image that Pillow cannot decode; for broken data, its decoders raise anything."""
    return BadFile(f"does not decode: {error}")
