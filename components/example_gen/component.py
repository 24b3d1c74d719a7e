"""The specification of ExampleGen."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.artifacts.pins import Files
from hubline.components.config.data import Data, DataToInfer, HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.preprocessing.config import Features, Label


class ExampleGenSpec(component_spec.ComponentSpec):
    """Pinned files in; an Examples artifact with the splits train, validation and test out."""

    PARAMETERS = {
        "files": component_spec.ExecutionParameter(type=str),
        "split": component_spec.ExecutionParameter(type=str),
        "contract": component_spec.ExecutionParameter(type=str),
        "bad_records": component_spec.ExecutionParameter(type=str),
        "store": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ExampleGen(base_beam_component.BaseBeamComponent):
    """Ingests TFRecords: a Beam worker takes a file, TensorFlow reads, checks, splits and writes it."""

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self, files: Files, data: Data | DataToInfer, features: Features, label: Label | None, store: str
    ) -> None:
        """The step `ExampleGen`.

        Args:
            files: The pinned data files.
            data: Says how records are split, if they are, and what becomes of bad ones.
            features: Says which columns hold what.
            label: Says what a record's label may be; None where there need be none.
            store: The folder that keeps what came of each file, for later runs.
        """
        split = data.split if isinstance(data, Data) else None
        spec = ExampleGenSpec(
            files=files.to_property(),
            split=split.to_property() if isinstance(split, HashSplit) else "",
            contract=Contract.of(features, label).to_property(),
            bad_records=data.bad_records.to_property(),
            store=store,
            code=code_digest("hubline.components.example_gen.executor"),
            examples=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec)
