"""What a request may contain: bounds that keep a small request from taking much memory."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from PIL import Image, UnidentifiedImageError

from hubline.serving.errors import invalid

Image.MAX_IMAGE_PIXELS = None  # only the server imports this module: its own bound replaces Pillow's

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")
_MARKS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"WEBP", b"BM")
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
_LARGEST_IMAGES = 10
"""How many images of the largest size a request may have."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one request."""

    body_bytes: int = 64 << 20
    """Size of a message."""
    rows: int = 4096
    """Examples in a request."""
    pixels: int = 100_000_000
    """Width times height of an encoded image, and a tenth of those of all images in a request. A compressed image of a
    few kilobytes can state billions."""

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Checks the arrays of a request.

        Raises:
            RequestError: if they exceed a bound.
        """
        left = self.pixels * _LARGEST_IMAGES
        for name, array in inputs.items():
            if array.ndim and array.shape[0] > self.rows:
                raise invalid(f"input '{name}': {array.shape[0]} examples; a request may have {self.rows}")
            if array.dtype.kind in "OS":
                for value in array.flat:
                    left -= self._pixels_of(name, value)
                    if left < 0:
                        most = self.pixels * _LARGEST_IMAGES
                        raise invalid(f"input '{name}': the images have more than {most:,} pixels together")

    def _pixels_of(self, name: str, value: bytes) -> int:
        """Pixels of the images in a value."""
        found = [_pixels(image) for image in ((value,) if value.startswith(_MAGIC) else _images_in(value))]
        if max(found, default=0) > self.pixels:
            raise invalid(f"input '{name}': an image has more than {self.pixels:,} pixels")
        return sum(found)


def _images_in(value: bytes) -> Iterator[bytes]:
    """The values of a serialized tf.Example that begin like an image."""
    if not any(mark in value for mark in _MARKS):
        return
    try:
        example = tf.train.Example.FromString(value)
    except DecodeError:
        return
    for feature in example.features.feature.values():
        yield from (each for each in feature.bytes_list.value if each.startswith(_MAGIC))


def _pixels(image: bytes) -> int:
    """Width times height by the header of an image; 0 if it is no image. Decodes nothing."""
    try:
        with Image.open(io.BytesIO(image), formats=_FORMATS) as opened:
            return opened.width * opened.height
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return 0
