"""The specification of HubModule."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.hub_module.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features, FeaturesToInfer
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import Tuned


class HubModuleSpec(component_spec.ComponentSpec):
    """One hub module in, by its handle; a Model artifact out."""

    PARAMETERS = {
        "name": component_spec.ExecutionParameter(type=str),
        "hub": component_spec.ExecutionParameter(type=str),
        "features": component_spec.ExecutionParameter(type=str),
        "tuned": component_spec.ExecutionParameter(type=str),
        "asked": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
        "code": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class HubModule(base_component.BaseComponent):
    """Resolves a handle, verifies and inspects the module, and stores it as a Model artifact."""

    SPEC_CLASS = HubModuleSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        name: str,
        hub: Hub,
        features: Features,
        fingerprint: str,
        tuned: Tuned | None = None,
        asked: bool = False,
    ) -> None:
        """A step named `HubModule.<name>`.

        Args:
            name: The module's name in `hubs`.
            hub: Its entry.
            features: The features; only those that feed the module matter.
            tuned: What of it is to be trained further, if anything.
            fingerprint: As `pin` found it, so that a changed module behind the same handle is fetched again.
            asked: Whether it is asked as it is, so that any outputs will do, and no head is to stand on one.
        """
        fed = {feature: features[feature] for feature in hub.inputs.values()}
        spec = HubModuleSpec(
            name=name,
            hub=hub.to_property(),
            features=dump_sections(FeaturesToInfer if asked else Features, fed),
            tuned=tuned.to_property() if tuned else "",
            asked="yes" if asked else "",
            fingerprint=fingerprint,
            code=code_digest("hubline.components.hub_module.executor"),
            model=types.Channel(type=standard_artifacts.Model),
        )
        super().__init__(spec)
        self.with_id(f"HubModule.{name}")
