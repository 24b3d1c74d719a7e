"""The specification of KServe."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.config.serving import InferenceService
from hubline.components.kserve.executor import Executor
from hubline.core.code_digest import code_digest


class KServeSpec(component_spec.ComponentSpec):
    """What was pushed in; how it is served out."""

    PARAMETERS = {name: component_spec.ExecutionParameter(type=str) for name in ("service", "code")}
    INPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}
    OUTPUTS = {"inference_service": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class KServe(base_component.BaseComponent):
    """Makes or changes an InferenceService, so that it serves the version that was pushed, and waits until it does."""

    SPEC_CLASS = KServeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, pushed_model: types.BaseChannel, service: InferenceService) -> None:
        """The step `KServe`.

        Args:
            pushed_model: From Pusher.
            service: The InferenceService.
        """
        spec = KServeSpec(
            pushed_model=pushed_model,
            service=service.to_property(),
            code=code_digest("hubline.components.kserve.executor"),
            inference_service=types.Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec)
