"""Encodings of text: what the first bytes of a file tell."""

import codecs

_MARKS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),  # before UTF-16, whose mark theirs begins with
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def wide_encoding(head: bytes) -> str | None:
    """The encoding of a text that takes two bytes or more for a letter; None where none is seen.

    Args:
        head: Its first bytes. Without a byte order mark, zeros as every other byte tell, as plain letters have them.
    """
    for encoding, marks in _MARKS.items():
        if head.startswith(marks):
            return encoding
    even, odd = head[::2], head[1::2]
    if odd and not any(odd) and all(even[: len(odd)]):
        return "utf-16-le"
    return "utf-16-be" if odd and not any(even) and all(odd) else None
