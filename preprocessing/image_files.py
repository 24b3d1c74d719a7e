"""Image files as records hold them: the one rule by which `convert` and `predict` read files."""

import io
from typing import IO

from PIL import ExifTags, Image

from hubline.core.errors import tensorflow_reason
from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_images

_OF_PNG = ("1", "L", "LA", "P", "I;16", "I;16B", "RGB", "RGBA")
"""The modes that PNG has."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns an image upright, by EXIF's orientation."""


class BadFile(Exception):
    """A file that cannot be used; the message says why."""


def as_record(data: bytes) -> bytes:
    """An image file as a record holds it: byte by byte where models decode it, otherwise as an upright PNG.

    Raises:
        BadFile: where Pillow does not read it either.
    """
    return data if is_kept(data) else encoded(upright(opened(data), orientation(data)), "PNG")


def is_kept(data: bytes) -> bool:
    """Whether records hold this file byte by byte."""
    return bool(encoded_images.are_readable(tf.constant(data)))


def orientation(data: bytes) -> int:
    """EXIF's orientation of an image file, 1 to 8; of a file that is kept, as `encoded_images.decode` sees it."""
    if is_kept(data):
        return int(encoded_images.orientation(tf.constant(data)))
    try:
        return opened(data).getexif().get(ExifTags.Base.Orientation, 1)
    except BadFile:
        raise
    except Exception:  # whatever is wrong with its EXIF, there is an image
        return 1


def shape(data: bytes) -> tuple[int, int]:
    """Height and width of an image file that is kept, upright.

    Raises:
        BadFile: where it does not decode.
    """
    try:
        if data.startswith(encoded_images.IMAGE_MAGIC["GIF"]):
            opened(data).load()  # TensorFlow fills up with black what is cut off
        height, width, _ = encoded_images.decode(tf.constant(data)).shape
    except BadFile:
        raise
    except tf.errors.OpError as error:
        raise BadFile(f"does not decode: {tensorflow_reason(error)}") from error
    except Exception as error:
        raise undecodable(error) from error
    return height, width


def upright(image: Image.Image, turn: int) -> Image.Image:
    """An image turned by one of EXIF's orientations.

    Raises:
        BadFile: where it does not decode.
    """
    try:
        return image.transpose(_TURNS[turn]) if turn in _TURNS else image
    except Exception as error:
        raise undecodable(error) from error


def is_image(file: IO[bytes]) -> bool:
    """Whether Pillow finds an image in a file, by its header."""
    try:
        with Image.open(file):
            return True
    except Exception:  # whatever its decoders raise
        return False


def opened(data: bytes) -> Image.Image:
    """An image of which no pixel is decoded yet.

    Raises:
        BadFile: where it is none.
    """
    if not data:
        raise BadFile("the file is empty")
    try:
        return Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        raise BadFile(f"is no image: it begins with {data[:8]!r}") from None
    except Exception as error:
        raise undecodable(error) from error


def encoded(image: Image.Image, form: str, quality: int = 95, subsampling: str = "4:4:4") -> bytes:
    """An image as PNG or as JPEG with that quality and subsampling of colours.

    Raises:
        BadFile: where it does not decode, or its pixels have more bits than a PNG holds.
    """
    out = io.BytesIO()
    try:
        if form == "JPEG":
            plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
            plain.save(out, "JPEG", quality=quality, subsampling=subsampling)
        elif image.mode in ("I", "F"):
            raise BadFile(f"has pixels of 32 bits (mode {image.mode}), which no PNG holds")
        else:
            (image if image.mode in _OF_PNG else image.convert("RGB")).save(out, "PNG")
    except (BadFile, MemoryError):
        raise
    except Exception as error:
        raise undecodable(error) from error
    return out.getvalue()


def undecodable(error: Exception) -> BadFile:
    """What to say of an image that Pillow does not decode: of broken data, its decoders raise what they like."""
    return BadFile(f"does not decode: {error}")
