"""`hubline inspect`: shows the variables of a checkpoint."""

import math
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from hubline.core import storage
from hubline.core.config_base import Section, is_remote
from hubline.trainer.checkpoint_files import SAVED_MODEL, checkpoint_in
from hubline.trainer.checkpoint_reader import open_checkpoint


class CheckpointVariable(Section):
    """A variable of a checkpoint."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    count: int
    """Number of values."""


class CheckpointContent(Section):
    """The variables of a checkpoint."""

    checkpoint: str
    """Path of its files, without `.index`."""
    format: Literal["TF1", "TF2"]
    variables: tuple[CheckpointVariable, ...]
    count: int
    """Number of values in all variables, the state of optimizers included."""


def checkpoint_at(handle: str) -> str | None:
    """The checkpoint that a handle names, or the newest one in a folder; None if the handle is something else."""
    if handle.startswith(("http://", "https://")):
        return None
    path = handle.rstrip("/") if is_remote(handle) else str(Path(handle).absolute())
    if storage.is_folder(path):
        return None if storage.exists(f"{path}/{SAVED_MODEL}") else checkpoint_in(path)
    prefix = checkpoint_in(path)
    # A file that is a checkpoint by itself has no index; other files may be archives of a module.
    is_one = prefix is not None and (storage.exists(f"{prefix}.index") or ".ckpt" in prefix.rpartition("/")[2])
    return prefix if is_one else None


def inspect_checkpoint(prefix: str) -> CheckpointContent:
    """Lists the variables of a checkpoint.

    Raises:
        UserError: if it can't be read.
    """
    with open_checkpoint(prefix) as reader:
        variables = tuple(
            CheckpointVariable(
                name=name, dtype=spec.dtype.name, shape=tuple(spec.shape), count=math.prod(spec.shape.as_list())
            )
            for name, spec in reader.specs.items()
        )
        return CheckpointContent(
            checkpoint=prefix, format=reader.format, variables=variables, count=sum(each.count for each in variables)
        )


def show_checkpoint(console: Console, content: CheckpointContent) -> None:
    """Prints a checkpoint as a table, on a console that doesn't interpret markup."""
    console.print(content.checkpoint, soft_wrap=True)
    console.print(f"{content.format} checkpoint, {len(content.variables)} variables, {content.count:,} values")
    table = Table("variable", "dtype", "shape", "values", box=None, pad_edge=False)
    for variable in content.variables:
        table.add_row(variable.name, variable.dtype, str(list(variable.shape)), f"{variable.count:,}")
    console.print(table)
