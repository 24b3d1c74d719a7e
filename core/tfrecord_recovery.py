"""Reads damaged TFRecord files as far as possible: slowly, in Python, where TensorFlow's reader would stop.

A record consists of its length (uint64), a checksum of the length, the data, and a checksum of the data, all
little-endian. A checksum is a CRC32C, rotated by 15 bits, plus a constant.
"""

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from hubline.core import storage
from hubline.core.tfrecords import HEADER, compression_of, masked_crc

_CHUNK = 1 << 16  # decompressed, at most 64 MiB
_FOOTER = struct.Struct("<I")
_KEPT = 1 << 20
_GZIP = 31  # zlib's wbits
_TRAILER = 8


@dataclass(frozen=True)
class RecoveredRecord:
    """A record, or the remains of one."""

    data: bytes
    """The record. If it cannot be read, what is left of it; of a long unreadable section, the first MiB."""
    fault: str | None
    """Why it cannot be read, and at which bytes; None if it is intact."""


def salvage(path: str) -> Iterator[RecoveredRecord]:
    """All records of a file in order, including damaged ones.

    A record whose data don't match their checksum is one damaged record. After a damaged length, all bytes up to the
    next intact record form one damaged record. A GZIP file is read as far as it can be decompressed; anything lost
    after that counts as one damaged record.
    """
    compressed = compression_of(path) == "GZIP"
    with storage.open_binary(path) as file:
        chunks = iter(lambda: file.read(_CHUNK), b"")
        window = _Window(_inflated(chunks) if compressed else chunks, "decompressed bytes" if compressed else "bytes")
        fault = None
        while window.reaches(1):
            record = _next(window)
            fault = record.fault
            yield record
        if window.broken and not fault:
            yield RecoveredRecord(b"", window.fault("whatever came next is lost", window.start))


def inflated_size(path: str) -> int | None:
    """Decompressed size of a GZIP file with one or several members; None if some of it is lost."""
    with storage.open_binary(path) as file:
        try:
            return sum(map(len, _inflated(iter(lambda: file.read(_CHUNK), b""))))
        except _BrokenError:
            return None


class _BrokenError(Exception):
    """The GZIP stream cannot be decompressed any further."""


class _Window:
    """A window onto a byte stream that moves towards the end."""

    def __init__(self, chunks: Iterator[bytes], unit: str) -> None:
        self._chunks = chunks
        self._unit = unit
        self.bytes = bytearray()
        """Bytes read from `start` on."""
        self.start = 0
        self.broken = ""
        """Why the stream ended early, if it did."""

    def reaches(self, count: int) -> bool:
        """Reads until the window has `count` bytes; returns whether there are so many."""
        while len(self.bytes) < count:
            try:
                self.bytes += next(self._chunks)
            except StopIteration:
                return False
            except _BrokenError as error:
                self.broken = str(error)
                return False
        return True

    def take(self, count: int) -> bytes:
        """Returns up to `count` bytes and moves past them."""
        taken = bytes(self.bytes[:count])
        del self.bytes[:count]
        self.start += len(taken)
        return taken

    def fault(self, what: str, begin: int) -> str:
        """Describes a fault from byte `begin` to the position of the window."""
        why = f"; {self.broken}" if self.broken and not self.bytes else ""
        return f"{what} ({self._unit} {begin} to {self.start}{why})"


def _next(window: _Window) -> RecoveredRecord:
    """The record at the position of the window, which must not be at the end."""
    begin = window.start
    length = _length(window)
    if length is None:
        return _unreadable(window)
    whole = window.reaches(HEADER.size + length + _FOOTER.size)
    sound = whole and _is_sound(window, length)
    window.take(HEADER.size)
    data = window.take(length)
    window.take(_FOOTER.size)
    if not whole:
        return RecoveredRecord(data, window.fault("the file ends in the middle of it", begin))
    return RecoveredRecord(data, None if sound else window.fault("its data do not match their checksum", begin))


def _unreadable(window: _Window) -> RecoveredRecord:
    """The bytes up to the next intact record or the end."""
    begin = window.start
    kept = bytearray()

    def drop(count: int) -> None:
        kept.extend(window.take(count)[: _KEPT - len(kept)])

    while window.reaches(HEADER.size):
        drop(1)
        # No record reaches 4 GiB, so the upper half of a length is four zeros; `find` searches for them in C.
        zeros = window.bytes.find(bytes(4), 4)
        drop(max(0, zeros - 4 if zeros >= 0 else len(window.bytes) - HEADER.size + 1))
        length = _length(window)
        if length is not None and window.reaches(HEADER.size + length + _FOOTER.size) and _is_sound(window, length):
            return RecoveredRecord(bytes(kept), window.fault("no whole record begins here", begin))
    drop(len(window.bytes))
    return RecoveredRecord(bytes(kept), window.fault("no whole record begins here", begin))


def _length(window: _Window) -> int | None:
    """Length of the record at the position of the window; None if no record starts there."""
    if not window.reaches(HEADER.size):
        return None
    length, checksum = HEADER.unpack_from(window.bytes)
    return length if masked_crc(bytes(window.bytes[:8])) == checksum else None


def _is_sound(window: _Window, length: int) -> bool:
    """Whether the data of the record at the position of the window match their checksum."""
    end = HEADER.size + length
    return masked_crc(bytes(window.bytes[HEADER.size : end])) == _FOOTER.unpack_from(window.bytes, end)[0]


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompresses a GZIP stream of one or several members.

    Raises:
        _BrokenError: after everything that could be decompressed, if anything is lost.
    """
    member = zlib.decompressobj(_GZIP)
    for chunk in chunks:
        while chunk:
            if member.eof:
                if not chunk.strip(b"\0"):  # padding
                    break
                member = zlib.decompressobj(_GZIP)
            before = member.copy()
            try:
                yield member.decompress(chunk)
            except zlib.error as error:
                left = yield from _up_to_the_damage(before, chunk)
                if _is_of_the_trailer(error) and left <= _TRAILER and not next(chunks, b""):
                    return
                raise _BrokenError(f"the GZIP stream cannot be decompressed further: {error}") from error
            chunk = member.unused_data
    if not member.eof:
        try:
            member.decompress(b"\xff" * _TRAILER)
        except zlib.error as error:
            if _is_of_the_trailer(error):  # only the trailer is missing: the bytes given in its place don't match
                return
        raise _BrokenError("the GZIP stream is truncated")


def _up_to_the_damage(member: "zlib._Decompress", chunk: bytes) -> Generator[bytes, None, int]:
    """Yields what can be decompressed of a damaged chunk; returns the number of bytes left."""
    for position in range(len(chunk)):
        try:
            yield member.decompress(chunk[position : position + 1])
        except zlib.error:
            return len(chunk) - position
    return 0


def _is_of_the_trailer(error: zlib.error) -> bool:
    """Whether a GZIP member was decompressed completely and only its trailing checksum or length is wrong.

    Nothing is lost then, because each record has its own checksums.
    """
    return "incorrect data check" in str(error) or "incorrect length check" in str(error)
