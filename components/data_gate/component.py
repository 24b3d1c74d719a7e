"""The specification of DataGate."""

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.code import code_digest
from components.config import Evaluation
from components.data_gate.executor import Executor
from preprocessing.config import Features, image_columns


class DataGateSpec(component_spec.ComponentSpec):
    """ExampleValidator's anomalies in; nothing out but success or failure."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("sliced", "images", "code")}
    INPUTS = {
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS: dict = {}


class DataGate(base_component.BaseComponent):
    """Fails where the data does not fit the schema; the steps that read the data stand behind it."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, anomalies: types.BaseChannel, schema: types.BaseChannel, evaluation: Evaluation, features: Features
    ) -> None:
        """The step `DataGate`.

        Args:
            anomalies: From ExampleValidator.
            schema: Of the raw columns.
            evaluation: Names columns to slice by.
            features: Say which columns hold images, which nothing can be sliced by.
        """
        spec = DataGateSpec(
            anomalies=anomalies,
            schema=schema,
            sliced=json.dumps(evaluation.sliced_by),
            images=json.dumps(image_columns(features)),
            code=code_digest("components.data_gate.executor"),
        )
        super().__init__(spec)
