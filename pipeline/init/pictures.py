"""Profiles a column of encoded images: their sizes, colors, and whether they are masks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median_low

import numpy as np
import pyarrow as pa

from hubline.pipeline.init.column_profile import PictureProfile
from hubline.preprocessing.image_files import BadFile, opened, orientation

_LOOKED_AT, _DECODED = 500, 100
"""Maximum number of images whose headers are read, and of masks that are decoded."""
_GREY = ("1", "L")
_TURNED = range(5, 9)
"""EXIF orientations that swap height and width."""


def describe_pictures(images: pa.Array) -> PictureProfile | None:
    """The profile of evenly spaced images; None if none of them can be opened."""
    sizes, modes = [], set()
    for data in _spaced(images, _LOOKED_AT):
        try:
            image = opened(data)
            width, height = image.size
            sizes.append((width, height) if orientation(data) in _TURNED else (height, width))
            modes.add((image.format, image.mode))
        except BadFile:  # a run reports it
            continue
    if not sizes:
        return None
    heights, widths = zip(*sizes, strict=True)
    may_be_masks = all(form == "PNG" and mode in (*_GREY, "P") for form, mode in modes)
    return PictureProfile(
        height=median_low(heights),
        width=median_low(widths),
        is_one_size=len(set(sizes)) == 1,
        is_grey=all(mode in _GREY for _, mode in modes),
        values=_values(_spaced(images, _DECODED)) if may_be_masks else None,
    )


def _values(images: Iterable[bytes]) -> tuple[int, ...] | None:
    """The pixel values of grey or palette images, sorted; None if one of them can't be decoded."""
    found: set[int] = set()
    for data in images:
        try:
            found.update(np.unique(np.asarray(opened(data))).tolist())
        except Exception:  # decoders raise anything, and a run reports it
            return None
    return tuple(sorted(map(int, found)))


def _spaced(images: pa.Array, most: int) -> Iterator[bytes]:
    """At most so many of the images."""
    count = min(most, len(images))
    return (images[number * len(images) // count].as_py() for number in range(count))
