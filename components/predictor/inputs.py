"""What is predicted on: files of every sort as numbered items, and their division into shards."""

import mmap
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, count, groupby, islice, pairwise
from pathlib import Path
from typing import Any, Literal

import tensorflow as tf

from hubline.components.predictor.json_records import STANDARD_INPUT, is_json, read_json
from hubline.core import storage
from hubline.core.config_base import has_wildcards, is_remote, unescape
from hubline.core.errors import UserError
from hubline.core.tfrecord_recovery import salvage
from hubline.core.tfrecords import GZIP_MAGIC, begins_record, compression_of
from hubline.preprocessing.encoded_images import IMAGE_MAGIC
from hubline.preprocessing.image_files import BadFile, as_record, is_image

Sort = Literal["image", "example", "json", "latent"]

_HEAD = 16
"""Bytes that tell TFRecords and most images."""
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
_LARGE = 128 << 20
"""Bytes of a TFRecord file of which several shards are made."""
_IMAGES = 1024  # to a shard
_ENDLESS = 1 << 62
_LENGTH = struct.Struct("<Q")
_FRAMING = 16  # a record's length with its checksum, and the checksum of its data


@dataclass(frozen=True)
class Item:
    """One thing to be predicted on."""

    input: str
    """The file, as it was named."""
    record: int | None
    """Its number in the file, from 0; None for an image, which is a file of its own."""
    file: int
    """The number of the file among all, from 0."""
    data: Any
    """An encoded image or a serialized tf.Example, bytes; a JSON record, by column; of a latent vector its number."""
    fault: str | None = None
    """Why it cannot be read; None where it can."""

    @property
    def name(self) -> str:
        """What files that are made of it are called: in the order of the items, and never twice."""
        stem = Path(self.input).name.partition(".")[0] or "image"
        return f"{self.file:06d}-{stem}" + ("" if self.record is None else f"-{self.record:08d}")


@dataclass(frozen=True)
class Piece:
    """A file, or a range of its records."""

    sort: Sort
    input: str
    """What it is called where it is named."""
    path: str
    file: int
    """Its number among all files."""
    first: int = 0
    """The number of its first record."""
    count: int | None = None
    """How many records; None for all that come."""
    set_aside: tuple[int, ...] = ()
    """Ascending, the numbers of records that `input` has and the file at `path` has no more."""
    joined: tuple["Piece", ...] = ()
    """Where the file at `path` holds the records of several inputs, what it has of each, one behind the other."""

    def origins(self) -> Iterator[tuple[str, int, int]]:
        """Of each of its records the input, the number in it, and the number of the file."""
        if self.joined:
            of_all = chain.from_iterable(islice(each.origins(), each.count) for each in self.joined)
            return islice(of_all, self.first, None)
        missing = frozenset(self.set_aside)
        there = (number for number in count() if number not in missing) if missing else count()
        return ((self.input, number, self.file) for number in islice(there, self.first, None))

    def cut(self, begin: int, end: int) -> "Piece":
        """The records from one to before another, counted from the piece's own first."""
        return replace(self, first=self.first + begin, count=end - begin)


def pieces_of(inputs: Iterable[str]) -> list[Piece]:
    """What inputs stand for: files, the files in folders (sorted by path), those that match globs (sorted too), `-`.

    Raises:
        UserError: with all that are not there.
    """
    faults, paths = [], []
    for given in inputs:
        found = _files(given)
        paths += found
        if not found:
            faults.append(f"{given}: {'no file matches' if has_wildcards(given) else 'there is no such file'}")
    if faults:
        raise UserError("\n".join(faults))
    return [Piece(_sort_of(path), path, path, number) for number, path in enumerate(paths)]


def _files(given: str) -> list[str]:
    """The files that an input stands for."""
    if given == STANDARD_INPUT:
        return [given]
    if storage.is_folder(given):
        folder = given.rstrip("/")
        below = [path for path in storage.files_below(folder) if not _is_hidden(path)]
        return [f"{folder}/{path}" for path in below]
    if storage.exists(given):
        return [given]
    if not has_wildcards(given):
        return [unescape(given)] if storage.exists(unescape(given)) else []
    return [path for path in storage.glob(given) if not storage.is_folder(path)]


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


def _sort_of(path: str) -> Sort:
    if is_json(path):
        return "json"
    with storage.open_binary(path) as file:
        head = file.read(_HEAD)
        if head.startswith(tuple(IMAGE_MAGIC.values())):
            return "image"
        if head.startswith(GZIP_MAGIC) or begins_record(head):
            return "example"
        file.seek(0)
        if head and is_image(file):
            return "image"
    # Nothing but its name tells of an image that lost its bytes, for no TFRecord file without records is one.
    return "image" if path.lower().endswith(_IMAGE_ENDINGS) else "example"


def counted(piece: Piece) -> Piece:
    """A whole file with the number of its records, those that cannot be read among them."""
    if piece.count is not None:
        return piece
    if piece.sort == "image":
        return replace(piece, count=1)
    if piece.sort == "json":
        return replace(piece, count=sum(1 for _ in read_json(piece.path)))
    return replace(piece, count=_count(piece.path))


def _count(path: str) -> int:
    compression = compression_of(path)
    found = _count_lengths(path) if not compression and not is_remote(path) else _count_by_tensorflow(path, compression)
    return sum(1 for _ in salvage(path)) if found is None else found


def _count_lengths(path: str) -> int | None:
    """The records of a plain local file, of which the lengths alone are read; None where they do not add up."""
    size = Path(path).stat().st_size
    if not size:
        return 0
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = number = 0
        while place + _FRAMING <= size:
            place += _LENGTH.unpack_from(content, place)[0] + _FRAMING
            number += 1
    return number if place == size else None


def _count_by_tensorflow(path: str, compression: str) -> int | None:
    """The records of a file; None where TensorFlow does not see them all."""
    batches = tf.data.TFRecordDataset(path, compression).batch(1024).prefetch(2)
    number = size = 0
    try:
        for records in batches:
            number += int(tf.size(records))
            size += int(tf.reduce_sum(tf.strings.length(records))) + _FRAMING * int(tf.size(records))
    except tf.errors.OpError:
        return None
    if not compression:
        return number if storage.stat(path).size == size else None
    with storage.open_binary(path) as file:
        file.seek(max(0, storage.stat(path).size - 4))
        return number if int.from_bytes(file.read(4), "little") == size % 2**32 else None


def shards_of(pieces: Sequence[Piece], shards: int | None = None) -> list[tuple[Piece, ...]]:
    """Divides items into shards, which one after the other hold them in their order.

    Args:
        pieces: All `counted`.
        shards: How many, of equal numbers of items; fewer, where there are fewer items. Where this is absent, a file of
            records is a shard, a large TFRecord file several, and so are a thousand images.
    """
    if shards is None:
        return [shard for sort, of_sort in groupby(pieces, _sort) for shard in _usual(sort, list(of_sort))]
    ends = list(accumulate((piece.count or 0 for piece in pieces), initial=0))
    parts = max(1, min(shards, ends[-1]))
    bounds = [part * ends[-1] // parts for part in range(parts + 1)]
    return [tuple(_between(pieces, ends, begin, end)) for begin, end in pairwise(bounds)]


def _sort(piece: Piece) -> Sort:
    return piece.sort


def _usual(sort: Sort, pieces: list[Piece]) -> Iterator[tuple[Piece, ...]]:
    if sort == "image":
        yield from (tuple(pieces[first : first + _IMAGES]) for first in range(0, len(pieces), _IMAGES))
        return
    for piece in pieces:
        parts = -(-storage.stat(piece.path).size // _LARGE) if sort == "example" else 1
        yield from shards_of([piece], max(1, parts))


def _between(pieces: Sequence[Piece], ends: Sequence[int], begin: int, end: int) -> Iterator[Piece]:
    for piece, start in zip(pieces, ends, strict=False):
        first, last = max(begin - start, 0), min(end - start, piece.count or 0)
        if first < last:
            yield piece.cut(first, last)


def batches(pieces: Iterable[Piece], size: int) -> Iterator[tuple[Sort, list[Item]]]:
    """The items of pieces in order, in batches that hold at most so many: images, or records of one file."""
    for (sort, _), together in groupby(pieces, lambda piece: (piece.sort, piece.sort != "image" and piece)):
        items = (item for piece in together for item in _items(piece, size))
        while batch := list(islice(items, size)):
            yield sort, batch


def _items(piece: Piece, size: int) -> Iterator[Item]:
    if piece.sort == "image":
        yield _image(piece)
        return
    end = None if piece.count is None else piece.first + piece.count
    data: Iterator[Any]
    if piece.sort == "example":
        data = _examples(piece, size)
    elif piece.sort == "json":
        data = islice(read_json(piece.path, piece.input), piece.first, None)
    else:
        data = count(piece.first)
    found = zip(piece.origins(), data, strict=False)
    for (name, number, file), data in islice(found, None if end is None else end - piece.first):
        fault = str(data) if isinstance(data, UserError) else None
        yield Item(name, number, file, data, fault)


def _image(piece: Piece) -> Item:
    with storage.open_binary(piece.path) as file:
        data = file.read()
    try:
        return Item(piece.input, None, piece.file, as_record(data))
    except BadFile as fault:
        return Item(piece.input, None, piece.file, data, str(fault))


def _examples(piece: Piece, size: int) -> Iterator[bytes | UserError]:
    """The records of a piece: by TensorFlow as far as it goes, then one by one around what is damaged."""
    wanted = _count(piece.path) - piece.first if piece.count is None else piece.count
    dataset = tf.data.TFRecordDataset(piece.path, compression_of(piece.path)).skip(piece.first).take(wanted)
    done = 0
    try:
        for records in dataset.batch(size).prefetch(2):
            yield from records.numpy().tolist()
            done += len(records)
    except tf.errors.OpError:
        pass
    if done < wanted:
        for found in islice(salvage(piece.path), piece.first + done, piece.first + wanted):
            yield UserError(f"it cannot be read: {found.fault}") if found.fault else found.data


def kept_standard_input(pieces: Sequence[Piece], folder: str) -> list[Piece]:
    """The same, with what comes on standard input in a file, so that it can be read more than once."""

    def kept(piece: Piece) -> Piece:
        if piece.path != STANDARD_INPUT:
            return piece
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".json", delete=False) as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return replace(piece, path=file.name)

    return list(map(kept, pieces))
