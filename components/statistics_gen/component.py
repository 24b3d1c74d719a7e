"""The specification of StatisticsGen."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.statistics_gen.executor import Executor
from hubline.core.code_digest import code_digest


class StatisticsGenSpec(component_spec.ComponentSpec):
    """Examples in; statistics of each split out."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("store", "code")}
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """Computes TFDV's statistics once for each shard, and merges those of all shards.

    TFX's component of this name computes them over all data every time, in some fifty Beam stages, and counts the bytes
    of images as if they were words.
    """

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(self, examples: types.BaseChannel, store: str) -> None:
        """The step `StatisticsGen`.

        Args:
            examples: From ExampleGen.
            store: A folder outside the artifacts, where the statistics of each shard are kept for later runs.
        """
        spec = StatisticsGenSpec(
            examples=examples,
            store=store,
            code=code_digest("hubline.components.statistics_gen.executor"),
            statistics=types.Channel(type=standard_artifacts.ExampleStatistics),
        )
        super().__init__(spec)
