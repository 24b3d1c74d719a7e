"""Inputs for prediction: files of all types as numbered items, and their division into shards."""

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
from hubline.core.config_base import has_wildcards, is_remote, normalized, unescape
from hubline.core.errors import UserError
from hubline.core.tfrecord_recovery import salvage
from hubline.core.tfrecords import GZIP_MAGIC, begins_record, compression_of
from hubline.preprocessing.encoded_images import IMAGE_MAGIC
from hubline.preprocessing.image_files import BadFile, as_record, is_image

InputType = Literal["image", "example", "json", "latent"]

_HEAD = 16
"""Bytes that identify TFRecords and most image formats."""
_IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff")
_LARGE = 128 << 20
"""Size in bytes per shard of a TFRecord file."""
_IMAGES = 1024  # per shard
_ENDLESS = 1 << 62
_LENGTH = struct.Struct("<Q")
_FRAMING = 16  # a record's length and its checksum, and the checksum of its data


@dataclass(frozen=True)
class Item:
    """One thing to predict on."""

    input: str
    """Name of the file, as given."""
    record: int | None
    """Number of the record in the file, from 0; None for an image file."""
    file: int
    """Number of the file, from 0."""
    data: Any
    """Bytes of an encoded image or a serialized tf.Example; a dict by column for JSON; a number for a latent vector."""
    fault: str | None = None
    """Why the item cannot be read; None if it can."""

    @property
    def name(self) -> str:
        """Base name for files made from the item. Unique; sorted names follow the order of the items."""
        stem = Path(self.input).name.partition(".")[0] or "image"
        return f"{self.file:06d}-{stem}" + ("" if self.record is None else f"-{self.record:08d}")


@dataclass(frozen=True)
class InputChunk:
    """A file, or a range of its records."""

    input_type: InputType
    input: str
    """Name in messages and predictions."""
    path: str
    file: int
    """Number of the file, from 0."""
    first: int = 0
    """Number of the first record."""
    count: int | None = None
    """Number of records; None for all."""
    quarantined_records: tuple[int, ...] = ()
    """Numbers, ascending, of the records of `input` that are missing from the file at `path`."""
    joined: tuple["InputChunk", ...] = ()
    """If the file at `path` contains the records of several inputs, its parts, in order."""

    def origins(self) -> Iterator[tuple[str, int, int]]:
        """For each record: its input, its number in the input, and the number of the file."""
        if self.joined:
            of_all = chain.from_iterable(islice(each.origins(), each.count) for each in self.joined)
            return islice(of_all, self.first, None)
        missing = frozenset(self.quarantined_records)
        there = (number for number in count() if number not in missing) if missing else count()
        return ((self.input, number, self.file) for number in islice(there, self.first, None))

    def cut(self, begin: int, end: int) -> "InputChunk":
        """The records from `begin` to before `end`, relative to the piece's first."""
        return replace(self, first=self.first + begin, count=end - begin)


def pieces_of(inputs: Iterable[str]) -> list[InputChunk]:
    """Expands inputs: files, folders and globs (both sorted by path), and `-` for standard input.

    Raises:
        UserError: lists all inputs that match no file.
    """
    faults, paths = [], []
    for given in inputs:
        found = _files(given)
        paths += found
        if not found:
            faults.append(f"{given}: {'no file matches' if has_wildcards(given) else 'there is no such file'}")
    if faults:
        raise UserError("\n".join(faults))
    return [InputChunk(_sort_of(path), path, path, number) for number, path in enumerate(paths)]


def _files(given: str) -> list[str]:
    """The files of one input."""
    if given == STANDARD_INPUT:
        return [given]
    if is_remote(given):
        given = normalized(given)
    if storage.is_folder(given):
        folder = given.rstrip("/")
        below = [path for path in storage.files_below(folder) if not _is_hidden(path)]
        return [f"{folder}/{path}" for path in below]
    if storage.exists(given):
        return [given]
    if not has_wildcards(given):
        return [unescape(given)] if storage.exists(unescape(given)) else []
    return [path for path, stat in storage.matching(given).items() if stat or not storage.is_folder(path)]


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.split("/"))


def _sort_of(path: str) -> InputType:
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
    # A damaged image has no magic bytes, and an empty TFRecord file has none either; the extension decides.
    return "image" if path.lower().endswith(_IMAGE_ENDINGS) else "example"


def counted(piece: InputChunk) -> InputChunk:
    """A piece with its number of records, unreadable ones included."""
    if piece.count is not None:
        return piece
    if piece.input_type == "image":
        return replace(piece, count=1)
    if piece.input_type == "json":
        return replace(piece, count=sum(1 for _ in read_json(piece.path)))
    return replace(piece, count=_count(piece.path))


def _count(path: str) -> int:
    with storage.on_disk(path) as local:
        compression = compression_of(local)
        can_be_mapped = not compression and not is_remote(local)
        found = _count_lengths(local) if can_be_mapped else _count_by_tensorflow(local, compression)
        return sum(1 for _ in salvage(local)) if found is None else found


def _count_lengths(path: str) -> int | None:
    """Counts records of an uncompressed local file by their length fields; None if the lengths don't add up to its
    size."""
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
    """Counts records with TensorFlow; None if it doesn't read the file to the end."""
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


def shards_of(pieces: Sequence[InputChunk], shards: int | None = None) -> list[tuple[InputChunk, ...]]:
    """Divides items into shards; concatenated, the shards preserve the order.

    Args:
        pieces: Pieces with known counts.
        shards: Number of shards of equal size; at most the number of items. If None: one shard per file of records,
            several for a large TFRecord file, and one per thousand images.
    """
    if shards is None:
        return [shard for input_type, of_sort in groupby(pieces, _sort) for shard in _usual(input_type, list(of_sort))]
    ends = list(accumulate((piece.count or 0 for piece in pieces), initial=0))
    parts = max(1, min(shards, ends[-1]))
    bounds = [part * ends[-1] // parts for part in range(parts + 1)]
    return [tuple(_between(pieces, ends, begin, end)) for begin, end in pairwise(bounds)]


def _sort(piece: InputChunk) -> InputType:
    return piece.input_type


def _usual(input_type: InputType, pieces: list[InputChunk]) -> Iterator[tuple[InputChunk, ...]]:
    if input_type == "image":
        yield from (tuple(pieces[first : first + _IMAGES]) for first in range(0, len(pieces), _IMAGES))
        return
    for piece in pieces:
        # A file that each shard would have to download is one shard.
        is_divided = input_type == "example" and storage.is_read_in_place(piece.path)
        parts = -(-storage.stat(piece.path).size // _LARGE) if is_divided else 1
        yield from shards_of([piece], max(1, parts))


def _between(pieces: Sequence[InputChunk], ends: Sequence[int], begin: int, end: int) -> Iterator[InputChunk]:
    for piece, start in zip(pieces, ends, strict=False):
        first, last = max(begin - start, 0), min(end - start, piece.count or 0)
        if first < last:
            yield piece.cut(first, last)


def batches(pieces: Iterable[InputChunk], size: int) -> Iterator[tuple[InputType, list[Item]]]:
    """Items in order, in batches of at most `size`: either images, or records of one file."""
    for (input_type, _), together in groupby(
        pieces, lambda piece: (piece.input_type, piece.input_type != "image" and piece)
    ):
        items = (item for piece in together for item in _items(piece, size))
        while batch := list(islice(items, size)):
            yield input_type, batch


def _items(piece: InputChunk, size: int) -> Iterator[Item]:
    if piece.input_type == "image":
        yield _image(piece)
        return
    end = None if piece.count is None else piece.first + piece.count
    data: Iterator[Any]
    if piece.input_type == "example":
        data = _examples(piece, size)
    elif piece.input_type == "json":
        data = islice(read_json(piece.path, piece.input), piece.first, None)
    else:
        data = count(piece.first)
    found = zip(piece.origins(), data, strict=False)
    for (name, number, file), data in islice(found, None if end is None else end - piece.first):
        fault = str(data) if isinstance(data, UserError) else None
        yield Item(name, number, file, data, fault)


def _image(piece: InputChunk) -> Item:
    with storage.open_binary(piece.path) as file:
        data = file.read()
    try:
        return Item(piece.input, None, piece.file, as_record(data))
    except BadFile as fault:
        return Item(piece.input, None, piece.file, data, str(fault))


def _examples(piece: InputChunk, size: int) -> Iterator[bytes | UserError]:
    """Records of a piece: read by TensorFlow up to the first damaged one, then one by one."""
    with storage.on_disk(piece.path) as path:
        wanted = _count(path) - piece.first if piece.count is None else piece.count
        dataset = tf.data.TFRecordDataset(path, compression_of(path)).skip(piece.first).take(wanted)
        done = 0
        try:
            for records in dataset.batch(size).prefetch(2):
                yield from records.numpy().tolist()
                done += len(records)
        except tf.errors.OpError:
            pass
        if done < wanted:
            for found in islice(salvage(path), piece.first + done, piece.first + wanted):
                yield UserError(f"it cannot be read: {found.fault}") if found.fault else found.data


def kept_standard_input(pieces: Sequence[InputChunk], folder: str) -> list[InputChunk]:
    """Replaces standard input by a file with its content, so that it can be read more than once."""

    def kept(piece: InputChunk) -> InputChunk:
        if piece.path != STANDARD_INPUT:
            return piece
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".json", delete=False) as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        return replace(piece, path=file.name)

    return list(map(kept, pieces))
