"""Reads and validates vocabulary files."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

from hubline.core import storage
from hubline.core.digest import check_digest
from hubline.core.errors import UserError
from hubline.preprocessing.kinds.categorical import VocabularyFile

_SHOWN = 5
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_vocabulary(file: VocabularyFile) -> tuple[list[bytes], str]:
    """The words of a vocabulary in order, and the SHA-256 of the file as `sha256sum` prints it.

    Raises:
        UserError: listing all problems: the file doesn't exist, has another digest, or contains no words, or lines that
            are empty, repeated or not UTF-8.
    """
    if not storage.exists(file.file) or storage.is_folder(file.file):
        raise UserError(f"{file.file}: there is no such file; a vocabulary is a UTF-8 text file with one word per line")
    with storage.open_binary(file.file) as opened:
        content = opened.read()
    digest = hashlib.sha256(content).hexdigest()
    check_digest(file.file, digest, file.sha256)
    words = content.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n") if content else []
    faults = "; ".join(_faults(words))
    if faults:
        raise UserError(f"{file.file}: {faults}; a vocabulary is a UTF-8 text file with one word per line")
    return words, digest


def _faults(words: Sequence[bytes]) -> Iterator[str]:
    """Problems with the lines of a vocabulary, numbered from 1."""
    if not any(words):
        yield "it is empty"
        return
    if words[0].startswith(_BYTE_ORDER_MARK):
        yield "it begins with a byte order mark, which would be a part of the first word"
    if empty := [number for number, word in enumerate(words, start=1) if not word]:
        yield f"nothing is in {_lines(empty)}"
    if illegible := [number for number, word in enumerate(words, start=1) if not _is_text(word)]:
        yield f"no UTF-8, or a character that ends a line, is in {_lines(illegible)}"
    lines = defaultdict(list)
    for number, word in enumerate(words, start=1):
        lines[word].append(number)
    repeated = [(word, numbers) for word, numbers in lines.items() if word and len(numbers) > 1]
    yield from (f"'{word.decode(errors='replace')}' is in {_lines(numbers)}" for word, numbers in repeated[:_SHOWN])
    if len(repeated) > _SHOWN:
        yield f"{len(repeated) - _SHOWN} more words are there several times"


def _is_text(word: bytes) -> bool:
    try:
        return "\r" not in word.decode()
    except UnicodeDecodeError:
        return False


def _lines(numbers: Sequence[int]) -> str:
    """For example `line 3`, or `lines 1, 2, 3, 4, 5 and 7 more`."""
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"line{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:_SHOWN]))}{more}"
