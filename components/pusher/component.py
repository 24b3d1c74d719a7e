"""The specification of Pusher."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from components.code import code_digest
from components.config import Serving
from components.pin.pins import ServedVersion
from components.pusher.executor import Executor


class PusherSpec(component_spec.ComponentSpec):
    """A model and its blessing in; what was pushed out."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("destination", "serving", "code")}
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Writes a blessed model as the next version; nothing where it is not blessed, or already serves."""

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, model: types.BaseChannel, blessing: types.BaseChannel, serving: Serving, pinned: ServedVersion | None
    ) -> None:
        """The step `Pusher`.

        Args:
            model: From Trainer.
            blessing: From Evaluator.
            serving: Says where versions go.
            pinned: The version that serves, if any; where it is taken away, the step runs again.
        """
        spec = PusherSpec(
            model=model,
            blessing=blessing,
            destination=serving.destination,
            serving=pinned.to_property() if pinned else "",
            code=code_digest("components.pusher.executor"),
            pushed_model=types.Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec)
