"""Image files as stored in records: unchanged if models can decode them, otherwise as PNG."""

from dataclasses import dataclass

from PIL import Image

from hubline.preprocessing.image_files import encoded, is_kept, opened, orientation, shape, undecodable, upright

SMALLER = "made smaller"

_JPEG = ("JPEG", "MPO")
"""MPO, which some cameras write, is a JPEG followed by more images."""


@dataclass(frozen=True)
class Picture:
    """An image as stored in a record."""

    encoded: bytes
    """In a format that `encoded_images.decode` supports."""
    height: int
    width: int
    """In pixels, of the upright image."""
    changes: tuple[str, ...] = ()
    """Changes to the image; empty if there are none."""


def picture(data: bytes, max_side: int | None = None) -> Picture:
    """An image as stored in a record. An EXIF orientation changes no bytes: it is applied when decoding.

    Args:
        data: The image, in any format that Pillow reads.
        max_side: Maximum length of the longer side in pixels. Larger images are scaled down and stored upright.

    Raises:
        Bad: if it cannot be decoded.
    """
    image, kept = opened(data), is_kept(data)
    large = max_side is not None and max(image.size) > max_side
    if kept and not large:
        return Picture(data, *shape(data))
    form = "JPEG" if image.format in _JPEG else "PNG"
    palette = " with a palette" if image.format == "BMP" and image.mode not in ("L", "RGB") else ""
    other = f"encoded again as PNG, from {image.format}{palette}"
    if large:
        image = _smaller(image, max_side or 0)
    image = upright(image, orientation(data))
    changes = [change for change, made in ((SMALLER, large), (other, not kept)) if made]
    return Picture(encoded(image, form), image.height, image.width, tuple(changes))


def _smaller(image: Image.Image, max_side: int) -> Image.Image:
    try:
        image = _colours(image)
        image.thumbnail((max_side, max_side))
    except Exception as error:
        raise undecodable(error) from error
    return image


def _colours(image: Image.Image) -> Image.Image:
    """Converts to a mode whose pixels can be interpolated: with a palette or 1-bit pixels, Pillow would drop pixels."""
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB") if image.mode == "P" else image
