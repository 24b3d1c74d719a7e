"""An encoded image as it is stored: one that TensorFlow decodes, upright, and as it is wherever possible."""

import io
from dataclasses import dataclass

from PIL import Image, ImageOps

from pipeline.convert.collection import Bad
from preprocessing.errors import tensorflow_reason
from preprocessing.lazy import tf

TURNED = "turned upright, as their EXIF says, and encoded again"
SMALLER = "made smaller"
QUALITY = 95
"""Of a JPEG that is encoded again."""

_ORIENTATION, _UPRIGHT = 0x0112, (0, 1)
_JPEG = ("JPEG", "MPO")
"""MPO is a JPEG with more pictures behind it, as some cameras write them."""
_KEPT = (*_JPEG, "PNG", "GIF", "BMP")
_OF_PNG = ("1", "L", "LA", "P", "I;16", "I;16B", "RGB", "RGBA")
"""The modes that PNG has."""


@dataclass(frozen=True)
class Picture:
    """An image as it is stored."""

    encoded: bytes
    """A JPEG, PNG, GIF or BMP."""
    height: int
    width: int
    """In pixels."""
    changes: tuple[str, ...] = ()
    """What was done to it; empty where it is as it was."""


def picture(data: bytes, max_side: int | None = None, upright: bool = True) -> Picture:
    """An image as it is stored.

    Args:
        data: The image, in any format that Pillow reads.
        max_side: How many pixels its longer side has at most; a larger image is made smaller.
        upright: Whether it is turned as its EXIF says, which TensorFlow ignores.

    Raises:
        Bad: where it does not decode.
    """
    image = opened(data)
    turned = upright and orientation(image) not in _UPRIGHT
    large = max_side is not None and max(image.size) > max_side
    kept = image.format in _KEPT and not has_palette(image)
    if kept and not turned and not large:
        return _as_it_is(data, image)
    form = "JPEG" if image.format in _JPEG else "PNG"
    other = f"encoded again as PNG, from {image.format}{' with a palette' if has_palette(image) else ''}"
    try:
        if large:
            image = _colours(image)
            image.thumbnail((max_side, max_side))  # type: ignore[arg-type]
        if turned:
            image = ImageOps.exif_transpose(image)
        encoded = encode(image, form)
    except (Bad, MemoryError):
        raise
    except Exception as error:
        raise undecodable(error) from error
    changes = [change for change, made in ((TURNED, turned), (SMALLER, large), (other, not kept)) if made]
    return Picture(encoded, image.height, image.width, tuple(changes))


def opened(data: bytes) -> Image.Image:
    """An image of which no pixel is decoded yet.

    Raises:
        Bad: where it is none.
    """
    if not data:
        raise Bad("the file is empty")
    try:
        return Image.open(io.BytesIO(data))
    except Image.UnidentifiedImageError:
        raise Bad(f"is no image: it begins with {data[:8]!r}") from None
    except Exception as error:
        raise undecodable(error) from error


def orientation(image: Image.Image) -> int:
    """How its EXIF says that an image is turned; 0 or 1 where it is upright."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # or Pillow decodes all of it to look behind the pixels
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # whatever is wrong with its EXIF, there is an image
        return 1


def has_palette(image: Image.Image) -> bool:
    """Whether an image is a BMP with a palette, of which TensorFlow decodes the places in the palette as greys."""
    return image.format == "BMP" and image.mode not in ("L", "RGB")


def encode(image: Image.Image, form: str, quality: int = QUALITY, subsampling: str = "4:4:4") -> bytes:
    """An image as JPEG or PNG, a JPEG with that quality and subsampling of colours.

    Raises:
        Bad: where its pixels have more bits than a PNG holds.
    """
    out = io.BytesIO()
    if form == "JPEG":
        plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
        plain.save(out, "JPEG", quality=quality, subsampling=subsampling)
    elif image.mode in ("I", "F"):
        raise Bad(f"has pixels of 32 bits ({image.format}, mode {image.mode}), which no PNG holds")
    else:
        (image if image.mode in _OF_PNG else image.convert("RGB")).save(out, "PNG")
    return out.getvalue()


def undecodable(error: Exception) -> Bad:
    """What to say of an image that Pillow does not decode: of broken data, its decoders raise what they like."""
    return Bad(f"does not decode: {error}")


def _as_it_is(data: bytes, image: Image.Image) -> Picture:
    try:
        if image.format == "GIF":
            image.load()  # TensorFlow fills up with black what is cut off
        pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
    except tf.errors.OpError as error:
        raise Bad(f"does not decode: {tensorflow_reason(error)}") from error
    except Exception as error:
        raise undecodable(error) from error
    return Picture(data, pixels.shape[0], pixels.shape[1])


def _colours(image: Image.Image) -> Image.Image:
    """Such that pixels can be mixed: of a palette, or of black and white, Pillow would pick some and drop the rest."""
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB") if image.mode == "P" else image
