"""The specification of Pusher."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.artifacts.pins import ServedVersion
from hubline.components.config.serving import Serving
from hubline.components.dashboard.artifacts import Markdown
from hubline.components.pusher.executor import Executor
from hubline.core.code_digest import code_digest


class PusherSpec(component_spec.ComponentSpec):
    """A model and its blessing in; what was pushed out."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("destination", "serving", "code")} | {
        name: component_spec.ExecutionParameter(type=int) for name in ("push", "must_be_blessed")
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel),
        "outcome": component_spec.ChannelParameter(type=Markdown),
    }


class Pusher(base_component.BaseComponent):
    """Writes a blessed model as the next version; nothing where it is not blessed, or already serves."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        serving: Serving,
        pinned: ServedVersion | None,
        must_be_blessed: bool = False,
    ) -> None:
        """The step `Pusher`.

        Args:
            model: From Trainer.
            blessing: From Evaluator.
            serving: Says where versions go, and whether any does.
            pinned: The version that serves, if any; where it is taken away, the step runs again.
            must_be_blessed: Whether the step fails where the model is not, as the run of a cluster is to be red then.
        """
        spec = PusherSpec(
            model=model,
            blessing=blessing,
            destination=serving.destination,
            push=int(serving.push),
            must_be_blessed=int(must_be_blessed),
            serving=pinned.to_property() if pinned else "",
            code=code_digest("hubline.components.pusher.executor"),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            outcome=types.Channel(type=Markdown),
        )
        super().__init__(spec)
