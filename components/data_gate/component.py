"""The specification of DataGate."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.data_gate.executor import Executor
from hubline.core.code_digest import code_digest


class DataGateSpec(component_spec.ComponentSpec):
    """What ExampleValidator found in; nothing out but success or failure."""

    PARAMETERS = {"code": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}
    OUTPUTS: dict = {}


class DataGate(base_component.BaseComponent):
    """Fails where the data is not fit to train on; the steps that read the data stand behind it."""

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, anomalies: types.BaseChannel) -> None:
        """The step `DataGate`.

        Args:
            anomalies: From ExampleValidator.
        """
        super().__init__(DataGateSpec(anomalies=anomalies, code=code_digest("hubline.components.data_gate.executor")))
