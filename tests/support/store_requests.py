"""What Hubline asks of an object store, with its outcome checked."""

from collections.abc import Callable
from pathlib import Path

from hubline.core import storage

CONTENT = bytes(range(256)) * 4096


def read(bucket: str, folder: Path) -> None:
    assert storage.read_bytes(f"{bucket}/there/file") == CONTENT


def read_in_parts(bucket: str, folder: Path) -> None:
    with storage.open_binary(f"{bucket}/there/file") as file:
        parts = iter(lambda: file.read(100_000), b"")
        assert b"".join(parts) == CONTENT


def download(bucket: str, folder: Path) -> None:
    storage.copy(f"{bucket}/there/file", str(folder / "downloaded"))
    assert (folder / "downloaded").read_bytes() == CONTENT


def listing(bucket: str, folder: Path) -> None:
    assert storage.files_below(f"{bucket}/there") == ["file"]
    assert storage.stats_below(f"{bucket}/there")["file"].size == len(CONTENT)
    assert storage.exists(f"{bucket}/there/file") and not storage.exists(f"{bucket}/nowhere")


def write(bucket: str, folder: Path) -> None:
    storage.write_bytes(f"{bucket}/new", CONTENT)
    storage.copy(f"{bucket}/there/file", f"{bucket}/copied")
    assert storage.read_bytes(f"{bucket}/new") == storage.read_bytes(f"{bucket}/copied") == CONTENT


def write_new(bucket: str, folder: Path) -> None:
    assert storage.write_new(f"{bucket}/unique", CONTENT)
    assert not storage.write_new(f"{bucket}/unique", b"other")
    assert storage.read_bytes(f"{bucket}/unique") == CONTENT


def upload_new(bucket: str, folder: Path) -> None:
    (folder / "source").write_bytes(CONTENT)
    assert storage.copy_new(str(folder / "source"), f"{bucket}/uploaded")
    (folder / "source").write_bytes(CONTENT[::-1])
    assert not storage.copy_new(str(folder / "source"), f"{bucket}/uploaded")
    assert storage.read_bytes(f"{bucket}/uploaded") == CONTENT


def remove(bucket: str, folder: Path) -> None:
    storage.remove(f"{bucket}/there/file")
    storage.remove(f"{bucket}/there/file")
    assert not storage.exists(f"{bucket}/there/file")


REQUESTS: tuple[Callable[[str, Path], None], ...] = (
    read, read_in_parts, download, listing, write, write_new, upload_new, remove,
)  # fmt: skip
