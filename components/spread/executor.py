"""Bases of executors that work shard by shard."""

from abc import abstractmethod
from typing import Any, ClassVar

from hubline.components.engine import BeamExecutor
from hubline.components.spread.run import run_stage
from hubline.components.spread.stage import Stage


class SpreadingExecutor(BeamExecutor):
    """An executor with stages."""

    def run_stage(self, stage: Stage[Any]) -> None:
        """Does the tasks of a stage whose result is not cached, where the section `beam` says."""
        run_stage(stage, self.arguments_for, self._get_tmp_dir())


class StageExecutor(SpreadingExecutor):
    """An executor with one stage, which other processes can build, too: several pods may do a share of it each."""

    reads_one_shard: ClassVar[bool] = False
    """Whether a task reads, of the files of splits, only the one at its `name`, and building the stage reads none. A
    pod then fetches only the shards of its share."""

    @abstractmethod
    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[Any]:
        """The stage, from artifacts and properties alone: the same tasks in the same order in every process."""

    def run_share(self, stage: Stage[Any]) -> None:
        """Does a share of the stage in another process; what the shares leave, the step does itself."""
        self.run_stage(stage)
