"""The output folder of a conversion."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubline.core.errors import UserError

SOURCE = ".made-of.json"
"""File in which `hubline init` writes which data the shards beside it were made of. It is replaced with them."""
_SHARD = re.compile(r"data-\d{5,}-of-\d{5,}\.tfrecord(\.gz)?")


@dataclass(frozen=True)
class Destination:
    """Where and how a conversion writes."""

    output: Path
    """The folder."""
    shards: int | None = None
    """Number of files with equal numbers of rows; None for files of about 100 MB."""
    gzip: bool = False
    """Whether to compress the files."""
    overwrite: bool = False
    """Whether `output` may contain the shards of an earlier conversion."""


def check_free(output: Path, overwrite: bool) -> None:
    """Checks that shards can be written to a folder.

    Args:
        output: The folder.
        overwrite: Whether it may contain shards of an earlier conversion. Other files are never removed.

    Raises:
        UserError: if it contains anything that has to stay.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise UserError(f"{output}: is a file; --output must be a folder")
    held = sorted(path.name for path in output.iterdir() if path.name != SOURCE)
    others = [name for name in held if not _SHARD.fullmatch(name)]
    if others:
        shown = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise UserError(f"{output}: contains files that no conversion wrote ({shown}); use another folder")
    if held and not overwrite:
        raise UserError(f"{output}: already contains {len(held)} shards; use another folder, or --overwrite")


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Yields a new folder next to `output`, which replaces `output` when the block ends, or is removed if the block
    fails.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        new, old = Path(temporary, "new"), Path(temporary, "old")
        new.mkdir()
        yield new
        if output.exists():
            output.rename(old)
        try:
            new.rename(output)
        except OSError:
            if old.exists():
                old.rename(output)
            raise
