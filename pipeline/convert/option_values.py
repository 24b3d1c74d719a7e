"""Values of the options of `hubline convert`."""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import NAMES, ORDERS, CellType, Decimal


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
    """The types in options such as `--type zip=text`, by column.

    Raises:
        UserError: if a value is not NAME=TYPE.
    """
    must = f"NAME=TYPE, where TYPE is one of {', '.join(NAMES)}"
    return {name: NAMES[kind] for name, kind in _by_column("--type", values, NAMES.__contains__, must)}


def decimals_in(values: Sequence[str] | None) -> Mapping[str, Decimal]:
    """The separators in options such as `--decimal price=,`, by column.

    Raises:
        UserError: if a value is not NAME=, or NAME=.
    """
    found = _by_column("--decimal", values, (".", ",").__contains__, "NAME=. or NAME=,")
    return {name: "." if separator == "." else "," for name, separator in found}


def dates_in(values: Sequence[str] | None) -> Mapping[str, str]:
    """The notations in options such as `--date-format sold=DMY`, by column.

    Raises:
        UserError: if a value is not NAME=FORMAT.
    """
    must = f"NAME=FORMAT, where FORMAT is {', '.join(ORDERS)}, or in the terms of strptime, such as '%d.%m.%y'"
    return dict(_by_column("--date-format", values, lambda form: form in ORDERS or _is_format(form), must))


def _is_format(form: str) -> bool:
    try:
        return "%" in form and bool(datetime.strptime(datetime(2024, 5, 31).strftime(form), form))
    except ValueError:
        return False


def _by_column(
    option: str, values: Sequence[str] | None, is_valid: Callable[[str], bool], must: str
) -> Iterator[tuple[str, str]]:
    """Names and values in options such as `--type zip=text`."""
    for value in values or ():
        name, _, setting = value.rpartition("=")
        if not name or not is_valid(setting):
            raise UserError(f"{option} {value}: must be {must}")
        yield name, setting


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
