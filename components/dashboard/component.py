"""The specification of Dashboard."""

from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components import module_channels as channels
from hubline.components.dashboard.artifacts import ClassificationMetrics, Html, Markdown, Metrics
from hubline.components.dashboard.executor import Executor
from hubline.core.code_digest import code_digest


class DashboardSpec(component_spec.ComponentSpec):
    """All that a report shows in; what the dashboard draws out."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("name", "code")}
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "rows": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {
        "metrics": component_spec.ChannelParameter(type=Metrics),
        "classes": component_spec.ChannelParameter(type=ClassificationMetrics, optional=True),
        "decision": component_spec.ChannelParameter(type=Markdown),
        "report": component_spec.ChannelParameter(type=Html),
    }


class Dashboard(base_component.BaseComponent):
    """Shows a model that was judged, blessed or not: its metrics, confusion matrix and ROC curve, and the report."""

    SPEC_CLASS = DashboardSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, types.BaseChannel],
        modules: Mapping[str, types.BaseChannel],
        has_classes: bool,
    ) -> None:
        """The step `Dashboard`.

        Args:
            name: The pipeline's.
            inputs: What the steps made, by its name in the specification.
            modules: From the HubModules, by name.
            has_classes: Whether the label has classes, of which there is a confusion matrix or a curve.
        """
        spec = channels.spec_with(DashboardSpec, modules)(
            **inputs,
            **channels.inputs(modules),
            name=name,
            code=code_digest("hubline.components.dashboard.executor"),
            metrics=types.Channel(type=Metrics),
            **({"classes": types.Channel(type=ClassificationMetrics)} if has_classes else {}),
            decision=types.Channel(type=Markdown),
            report=types.Channel(type=Html),
        )
        super().__init__(spec)
