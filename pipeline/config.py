"""The pipeline file as a whole, composed of the sections that the rooms own."""

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails

from components.config import Data, Evaluation, Serving
from preprocessing.config import Feature, Features, Label
from preprocessing.kinds.image import ImageFeature
from preprocessing.kinds.kind import Categories
from preprocessing.kinds.text import TextFeature
from preprocessing.section import Section
from trainer.config import Hubs, Model, Training


class PipelineFile(Section):
    """From TFRecords and TensorFlow Hub modules to a validated SavedModel in serving."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["taxi-tips"])
    """Names the pipeline; lower-case letters, digits and dashes."""
    data: Data
    """Where the records are."""
    features: Features = Field(min_length=1)
    """What the model sees of a record, by name."""
    label: Label
    """What the model learns to tell."""
    hubs: Hubs = {}
    """The TensorFlow Hub modules, by name, where there are any."""
    model: Model = Model()
    """What stands on the features and the modules."""
    training: Training
    """How the model is trained."""
    evaluation: Evaluation = Field(default=Evaluation(), validate_default=True)
    """How a trained model is judged."""
    serving: Serving
    """Where blessed models go."""

    @field_validator("evaluation")
    @classmethod
    def _judges_the_label(cls, evaluation: Evaluation, info: ValidationInfo) -> Evaluation:
        label: Label | None = info.data.get("label")
        if label is None:  # it has mistakes of its own
            return evaluation
        mistakes = [
            InitErrorDetails(type="value_error", loc=place, input=None, ctx={"error": ValueError(mistake)})
            for place, mistake in evaluation.misfits(label.kind).items()
        ]
        if mistakes:
            raise ValidationError.from_exception_data(cls.__name__, mistakes)
        return evaluation.of_label(label.kind)

    @model_validator(mode="after")
    def _has_a_use_for_each_feature(self) -> "PipelineFile":
        mistakes = [mistake for name, feature in self.features.items() if (mistake := self._misuse(name, feature))]
        mistakes += [mistake for name in self.hubs if (mistake := self._idle(name))]
        if not mistakes and not self.hubs and not any(feature.is_taken_in for feature in self.features.values()):
            mistakes = [f"the model sees nothing: {', '.join(self.features)} have encode: none"]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _idle(self, hub: str) -> str | None:
        if self.hubs[hub].inputs:
            return None
        if hub in self.model.fine_tune:
            return f"model.fine_tune names '{hub}', which no feature feeds: hubs.{hub}.inputs says what does"
        if not any(isinstance(each, Categories) and each.pretrained == hub for each in self.features.values()):
            return f"hubs.{hub} has no inputs, and no feature's embedding begins with it; say which feature feeds it"
        return None

    def _misuse(self, name: str, feature: Feature) -> str | None:
        takers = [hub for hub, described in self.hubs.items() if name in described.inputs.values()]
        is_for_hubs = isinstance(feature, ImageFeature) or (isinstance(feature, TextFeature) and feature.bag is None)
        if takers and not is_for_hubs:
            what = "text with a bag" if feature.kind == "text" else feature.kind
            return f"the hub module '{takers[0]}' takes images and texts as they are; '{name}' is {what}"
        if is_for_hubs and not takers:
            return f"no hub module takes the {feature.kind} '{name}'; name it in the inputs of one, or leave it out"
        if isinstance(feature, Categories) and feature.pretrained is not None:
            if feature.pretrained not in self.hubs:
                known = ", ".join(sorted(self.hubs)) or "none"
                return f"'{name}' begins with the hub module '{feature.pretrained}', and the hubs are: {known}"
            if not feature.has_words:
                return f"'{name}' has no vocabulary, so no words for the hub module '{feature.pretrained}'"
        if name in self.model.wide and (is_for_hubs or not isinstance(feature, Categories)):
            return f"model.wide is for categories; '{name}' is {feature.kind}"
        if name in self.model.wide and not feature.is_taken_in:
            return f"model.wide takes '{name}' in, and its encode is none; leave that out"
        return None

    @property
    def fed_features(self) -> Features:
        """The features that hub modules take."""
        taken = {name for hub in self.hubs.values() for name in hub.inputs.values()}
        return {name: feature for name, feature in self.features.items() if name in taken}
