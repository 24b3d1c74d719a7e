"""An encoded image as it is stored: as it is wherever models decode it, otherwise as a PNG."""

from dataclasses import dataclass

from PIL import Image

from hubline.preprocessing.image_files import encoded, is_kept, opened, orientation, shape, undecodable, upright

SMALLER = "made smaller"

_JPEG = ("JPEG", "MPO")
"""MPO is a JPEG with more pictures behind it, as some cameras write them."""


@dataclass(frozen=True)
class Picture:
    """An image as it is stored."""

    encoded: bytes
    """What `encoded_images.decode` reads."""
    height: int
    width: int
    """In pixels, of the upright image."""
    changes: tuple[str, ...] = ()
    """What was done to it; empty where it is as it was."""


def picture(data: bytes, max_side: int | None = None) -> Picture:
    """An image as it is stored. What EXIF turns keeps its bytes: it is turned where it is decoded.

    Args:
        data: The image, in any format that Pillow reads.
        max_side: How many pixels its longer side has at most; a larger image is made smaller, and stored upright.

    Raises:
        Bad: where it does not decode.
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
    """Such that pixels can be mixed: of a palette, or of black and white, Pillow would pick some and drop the rest."""
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB") if image.mode == "P" else image
