"""Values of the options of `hubline convert`."""

import codecs
import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import CellType


def check_files(inputs: Sequence[Path]) -> None:
    """Checks that the inputs are files.

    Raises:
        UserError: if some are not, naming all of them.
    """
    faults = [
        f"{path}: {'is a folder; pass the files in it' if path.is_dir() else 'there is no such file'}"
        for path in inputs
        if not path.is_file()
    ]
    if faults:
        raise UserError("\n".join(faults))


def names_in(values: Sequence[str] | None) -> list[str]:
    """Names in options such as `--drop a,b --drop '"c,d"'`, split by the rules of CSV."""
    return [name for row in csv.reader(values or ()) for name in row]


def types_in(values: Sequence[str] | None) -> Mapping[str, CellType]:
    """The types in options such as `--type zip=bytes`, by column.

    Raises:
        UserError: if a value is not NAME=TYPE.
    """
    types = {}
    for value in values or ():
        name, _, kind = value.rpartition("=")
        if not name or kind not in {known.value for known in CellType}:
            known = ", ".join(known.value for known in CellType)
            raise UserError(f"--type {value}: must be NAME=TYPE, where TYPE is one of {known}")
        types[name] = CellType(kind)
    return types


def delimiter_of(value: str) -> str:
    """The character of `--delimiter`.

    Raises:
        UserError: if it is not one ASCII character.
    """
    delimiter = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n':
        raise UserError(f"--delimiter {value}: must be a single character, such as , or ; or the word tab")
    return delimiter


def encoding_of(value: str) -> str:
    """Python's name of an encoding.

    Raises:
        UserError: if it is unknown.
    """
    try:
        return codecs.lookup(value).name
    except LookupError:
        raise UserError(f"--encoding {value}: unknown encoding; use for example utf-8, latin-1 or utf-16") from None


def size_of(value: str | None) -> tuple[int, int] | None:
    """Height and width in pixels of `--size`.

    Raises:
        UserError: if the value is not HEIGHTxWIDTH.
    """
    if value is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", value)
    if not match:
        raise UserError(f"--size {value}: must be HEIGHTxWIDTH in pixels, such as 112x112")
    return int(match[1]), int(match[2])
