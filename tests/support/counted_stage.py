"""An executor whose stage writes numbers, and keeps a list of what it was asked for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfx.types import artifact_utils

from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Report, Stage
from hubline.core import storage
from hubline.core.errors import DataError
from hubline.core.storage import AccessError

PATH = f"{__name__}.Executor"


class Killed(BaseException):
    """Stands for SIGKILL: no code handles it."""


@dataclass(frozen=True)
class Number:
    """A task: line `value` of the input, and the file with the same number."""

    name: str
    value: int
    content: str
    count: int = 10
    size: int = 1

    @property
    def key(self) -> str:
        return f"number-{self.value}-{self.content}"


def shard(folder: str, value: int) -> str:
    """Path of the file of a task."""
    return f"{folder}/Split-train/{value}"


@dataclass(frozen=True)
class Write:
    """Writes the content of a line; ends the process at `killed`, once, and refuses `bad`. The store
    doesn't answer at `silent`, once, and never at `gone`."""

    log: str

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        (path,) = Path(task.name).parent.iterdir()
        assert path.read_text() == task.content, "this shard is there, and no other"
        line = f"{os.environ['JOB_COMPLETION_INDEX']} {task.value}\n"
        with Path(self.log).open("a") as log:
            log.write(line)
        if task.content == "killed" and Path(self.log).read_text().count(f" {task.value}\n") == 1:
            raise Killed
        if task.content == "gone" or (task.content == "silent" and Path(self.log).read_text().count(line) == 1):
            raise AccessError("s3://b/k", "the store cannot be reached") from ConnectionResetError()
        if task.content == "bad":
            raise DataError(f"shard {task.value}: record 3 can't be embedded")
        if task.content == "fault":
            raise ValueError("unexpected")
        storage.write_text(f"{folder}/number", task.content * task.value)
        report(task.count)


class Executor(StageExecutor):
    """Has a task for each line of `numbers/shards`."""

    reads_one_shard = True

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[Number]:
        folder = artifact_utils.get_single_uri(input_dict["numbers"])
        lines = Path(folder, "shards").read_text().split()
        return Stage(
            name="numbers",
            unit="records",
            tasks=[Number(shard(folder, value), value, content) for value, content in enumerate(lines)],
            fill=Write(exec_properties["log"]),
            store=exec_properties["store"],
            weight=1.0,
        )

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        raise NotImplementedError
