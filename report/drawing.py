"""Draws boxes into images of samples, and masks next to them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from hubline.preprocessing.palette import PALETTE

TRUE, PREDICTED = "#10b981", "#f59e0b"
"""Colours of the true and the predicted box; the page's legend shows them."""
_PIXELS = 224
"""Longer side of images with boxes. Small images are enlarged, otherwise lines would cover their content."""
_BESIDE, _GAP = 112, 4
"""Longer side of images with masks next to them, and the gap between."""


def with_boxes(image: Image.Image, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """An image of fixed size with the true and the predicted box.

    Args:
        image: In RGB.
        boxes: The two boxes, each top, left, bottom and right as fractions of the image.
    """
    scale = _PIXELS / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    drawn = image.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(drawn)
    for (top, left, bottom, right), colour in zip(boxes, (TRUE, PREDICTED), strict=True):
        corners = (left * (width - 1), top * (height - 1), right * (width - 1), bottom * (height - 1))
        draw.rectangle(tuple(map(round, corners)), outline=colour, width=2)
    return drawn


def side_by_side(picture: np.ndarray, *masks: np.ndarray) -> Image.Image:
    """An image with masks next to it, all of the same size.

    Args:
        picture: uint8 [height, width, 3].
        masks: uint8 [height, width] of any size; each class has its own colour.
    """
    parts = [Image.fromarray(picture)]
    for mask in masks:
        parts.append(Image.fromarray(mask, "P"))
        parts[-1].putpalette(PALETTE)
    scale = _BESIDE / max(parts[0].size)
    width, height = (max(1, round(side * scale)) for side in parts[0].size)
    whole = Image.new("RGB", (len(parts) * (width + _GAP) - _GAP, height), "white")
    for number, part in enumerate(parts):
        how = Image.Resampling.LANCZOS if number == 0 and scale < 1 else Image.Resampling.NEAREST
        whole.paste(part.resize((width, height), how).convert("RGB"), (number * (width + _GAP), 0))
    return whole
