"""Detects text encodings from the first bytes of a file."""

import codecs

_MARKS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),  # before UTF-16, whose mark is a prefix of this one
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def wide_encoding(head: bytes) -> str | None:
    """Encoding of a text with two or more bytes per character; None if there are no signs of one.

    Args:
        head: First bytes of the text. Without a byte order mark, zeros in every other byte are the sign, as in ASCII
            text.
    """
    for encoding, marks in _MARKS.items():
        if head.startswith(marks):
            return encoding
    even, odd = head[::2], head[1::2]
    if odd and not any(odd) and all(even[: len(odd)]):
        return "utf-16-le"
    return "utf-16-be" if odd and not any(even) and all(odd) else None
