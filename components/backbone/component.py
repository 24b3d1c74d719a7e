"""The specification of Backbone."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.backbone.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features
from hubline.trainer.backbones.config import AnyBackbone
from hubline.trainer.config.model import Tuned


class BackboneSpec(component_spec.ComponentSpec):
    """One backbone in, as the pipeline file has it; a Model artifact out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in ("name", "backbone", "features", "tuned", "fingerprint", "code")
    }
    INPUTS: dict = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class Backbone(base_component.BaseComponent):
    """Makes a backbone that is no hub module, to see that it can be made and fits, and keeps its file of weights."""

    SPEC_CLASS = BackboneSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, name: str, backbone: AnyBackbone, features: Features, fingerprint: str, tuned: Tuned | None = None
    ) -> None:
        """A step named `Backbone.<name>`.

        Args:
            name: The backbone's name in `backbones`.
            backbone: Its entry.
            features: The features; only those that feed the backbone matter.
            fingerprint: As `pin` found it, so that changed weights, or a changed function of the user's, are noticed.
            tuned: What of it is to be trained, where `model.fine_tune` says so.
        """
        fed = {feature: features[feature] for feature in backbone.inputs.values()}
        spec = BackboneSpec(
            name=name,
            backbone=dump_sections(AnyBackbone, backbone),
            features=dump_sections(Features, fed),
            tuned=tuned.to_property() if tuned else "",
            fingerprint=fingerprint,
            code=code_digest("hubline.components.backbone.executor"),
            model=types.Channel(type=standard_artifacts.Model),
        )
        super().__init__(spec)
        self.with_id(f"Backbone.{name}")
