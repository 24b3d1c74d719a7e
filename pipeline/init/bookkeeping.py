"""Columns that describe an image file rather than what it shows."""

from __future__ import annotations

import re

BOOKKEEPING = "bookkeeping of the images"
_NAME = re.compile(
    r"(image_?|img_?|file_?)?(height|width|depth|channels|format|encoding|colou?r_?space|file(_?name|_?path)?|name|path|url"
    r"|source(_id)?|key|id|sha256|md5|fps|size)",
    re.IGNORECASE,
)


def keeps_books(name: str) -> bool:
    """Whether a column beside images is named like their size, format, file or source: `height`, `image/filename`.

    Args:
        name: Name of the column; what precedes the last slash doesn't count.
    """
    return _NAME.fullmatch(name.rpartition("/")[2]) is not None
