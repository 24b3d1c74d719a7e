"""The specification of ExampleValidator."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.example_validator.checks import Checks
from hubline.components.example_validator.executor import Executor
from hubline.core.code_digest import code_digest


class ExampleValidatorSpec(component_spec.ComponentSpec):
    """Statistics and their schema in; what is wrong with them out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str) for name in ("checks", "baseline", "baseline_digest", "code")
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class ExampleValidator(base_component.BaseComponent):
    """TFX's component of this name, which also checks what the pipeline file asks, and compares with a baseline."""

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        checks: Checks,
        baseline: str | None,
        digest: str | None,
    ) -> None:
        """The step `ExampleValidator`.

        Args:
            statistics: From StatisticsGen.
            schema: Of the raw columns.
            checks: What the pipeline file asks of the columns.
            baseline: A file with the statistics that the training split is compared with.
            digest: The SHA-256 of its content, as `pin` found it.
        """
        spec = ExampleValidatorSpec(
            statistics=statistics,
            schema=schema,
            checks=checks.to_property(),
            baseline=baseline or "",
            baseline_digest=digest or "",
            code=code_digest("hubline.components.example_validator.executor"),
            anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        )
        super().__init__(spec)
