"""Images as PNG, with boxes or masks drawn, and contact sheets."""

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from hubline.preprocessing.encoded_images import decode
from hubline.preprocessing.palette import PALETTE

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000")
_OPACITY = 140
_THUMBNAIL, _GAP = 160, 4
_MOST = 100


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels, uint8 [height, width, 1 or 3], or a mask, [height, width], as PNG; masks get a palette."""
    if pixels.ndim == 2:
        return _encoded(_coloured(pixels))
    return _encoded(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def drawn(encoded: bytes, detections: Sequence[Mapping[str, Any]]) -> bytes:
    """Draws boxes, names and scores into an image; returns a PNG.

    Args:
        encoded: The model's encoded input image.
        detections: As `detections` returns them; boxes are [top, left, bottom, right] as fractions of height and width.
    """
    picture = _opened(encoded)
    draw = ImageDraw.Draw(picture)
    line = max(1, round(min(picture.size) / 200))
    for number, found in enumerate(detections):
        top, left, bottom, right = found["box"]
        (left, right), (top, bottom) = (
            sorted(round(share * (size - 1)) for share in shares)
            for shares, size in (((left, right), picture.width), ((top, bottom), picture.height))
        )
        colour = _COLOURS[number % len(_COLOURS)]
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        name = found["name"] if found["name"] is not None else found["class"]
        text = f"{'' if name is None else name} {found['score']:.2f}".strip()
        shown = text.encode("latin-1", "replace").decode("latin-1")  # the characters in Pillow's built-in font
        box = draw.textbbox((left, top), shown)
        draw.rectangle(box, fill=colour)
        draw.text((left, top), shown, fill="white")
    return _encoded(picture)


def overlaid(encoded: bytes, mask: np.ndarray, covers: Sequence[float]) -> bytes:
    """Overlays a half-transparent mask on an image; returns a PNG. Class 0 is transparent.

    Args:
        encoded: The model's encoded input image.
        mask: Class numbers, uint8 [height, width].
        covers: Extent of the mask: top, left, bottom and right as fractions of the image; may be below 0 or above 1.
    """
    picture = _opened(encoded)
    top, left, bottom, right = covers
    left, right, top, bottom = (
        round(share * side)
        for share, side in (
            (left, picture.width),
            (right, picture.width),
            (top, picture.height),
            (bottom, picture.height),
        )
    )
    size = max(1, right - left), max(1, bottom - top)
    colours = _coloured(mask).convert("RGB").resize(size, Image.Resampling.NEAREST)
    shown = Image.fromarray(np.where(mask > 0, _OPACITY, 0).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
    picture.paste(colours, (left, top), shown)
    return _encoded(picture)


def _opened(encoded: bytes) -> Image.Image:
    """Decodes an image as models do, upright, so that coordinates match."""
    return Image.fromarray(decode(tf.constant(encoded)).numpy())


def _coloured(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask, "P")
    image.putpalette(PALETTE)
    return image


def sheet(paths: Sequence[str]) -> bytes:
    """Contact sheet of the first hundred image files, as PNG."""
    shown = paths[:_MOST]
    columns = math.ceil(math.sqrt(len(shown)))
    step = _THUMBNAIL + _GAP
    rows = -(-len(shown) // columns)
    whole = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), "white")
    for number, path in enumerate(shown):
        with Image.open(Path(path)) as picture:
            small = picture.convert("RGB")
        scale = _THUMBNAIL / max(small.size)
        small = small.resize((max(1, round(small.width * scale)), max(1, round(small.height * scale))))
        middle = (_THUMBNAIL - small.width) // 2, (_THUMBNAIL - small.height) // 2
        row, column = divmod(number, columns)
        whole.paste(small, (_GAP + column * step + middle[0], _GAP + row * step + middle[1]))
    return _encoded(whole)


def _encoded(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, format="PNG")
    return out.getvalue()
