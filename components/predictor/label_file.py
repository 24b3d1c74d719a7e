"""Label files: the names of a module's classes."""

import re

from hubline.core import storage
from hubline.core.errors import UserError


def read_labels(path: str) -> tuple[str, ...]:
    """Reads a label file with one name per line.

    Raises:
        UserError: if there is no such file, it is not UTF-8, has no label, or its lines are numbered.
    """
    if not storage.exists(path) or storage.is_folder(path):
        raise UserError(f"{path}: there is no such labels file")
    with storage.open_binary(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not valid UTF-8 (byte {error.start})") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(lines):
        raise UserError(f"{path}: the labels file is empty")
    if _is_numbered(lines) or _is_numbered(lines[1:]):
        raise UserError(
            f"{path}: its lines are numbered, such as {lines[-1]!r}; a labels file has one name per line and nothing "
            "else, in the order of the classes"
        )
    return tuple(lines)


def _is_numbered(lines: list[str]) -> bool:
    """Whether every line starts with its number, from 0 or 1, and a separator."""
    found = [re.match(r"\s*(\d+)\s*[\t,;|]", line) for line in lines]
    numbers = [int(one[1]) for one in found if one]
    return len(lines) > 1 and any(numbers == list(range(first, first + len(lines))) for first in (0, 1))
