"""Boxes in the pictures of samples."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

TRUE, PREDICTED = "#10b981", "#f59e0b"
"""The colours of the true box and the predicted one; the page's legend names them."""
_PIXELS = 224
"""Width or height of pictures with boxes: small ones are enlarged, or lines would cover what is in them."""


def with_boxes(image: Image.Image, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """A picture of a fixed size with the true box and the predicted one.

    Args:
        image: In RGB.
        boxes: The two, each top, left, bottom and right in shares of the picture.
    """
    scale = _PIXELS / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    drawn = image.resize((width, height), Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(drawn)
    for (top, left, bottom, right), colour in zip(boxes, (TRUE, PREDICTED), strict=True):
        corners = (left * (width - 1), top * (height - 1), right * (width - 1), bottom * (height - 1))
        draw.rectangle(tuple(map(round, corners)), outline=colour, width=2)
    return drawn
