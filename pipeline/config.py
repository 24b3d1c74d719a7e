"""The pipeline file as a whole, composed of the sections that the rooms own."""

from collections.abc import Iterator
from typing import Literal, TypeAlias

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails

from components.config import Data, DataToInfer, Evaluation, Predictions, PushedModel, Serving
from preprocessing.config import Feature, Features, Label, images
from preprocessing.kinds.image import ImageFeature
from preprocessing.kinds.kind import Categories
from preprocessing.kinds.text import TextFeature
from preprocessing.labels.class_and_box import ClassAndBoxLabel
from preprocessing.labels.classes import ClassLabel
from preprocessing.labels.pixels import PixelsLabel
from preprocessing.section import Section
from trainer.config import Hubs, Model, Training, fed_hubs
from trainer.phases import needs_pictures


class PipelineFile(Section):
    """From TFRecords and TensorFlow Hub modules to a validated SavedModel in serving."""

    task: Literal["train"] = "train"
    """What is done: `train`, or `infer`, which has a file of its own sort."""
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

    @field_validator("label")
    @classmethod
    def _is_in_a_picture(cls, label: Label, info: ValidationInfo) -> Label:
        if isinstance(label, ClassAndBoxLabel | PixelsLabel) and "features" in info.data:
            pictures = images(info.data["features"])
            if label.image not in pictures:
                known = ", ".join(sorted(pictures)) or "none"
                raise ValueError(
                    f"image names the feature '{label.image}', and the features of kind image are: {known}"
                )
        return label

    @field_validator("training")
    @classmethod
    def _keeps_boxes_right(cls, training: Training, info: ValidationInfo) -> Training:
        label: Label | None = info.data.get("label")
        if isinstance(label, PixelsLabel) and training.cache_views is not None:
            raise ValueError(
                "cache_views keeps vectors, and a label of pixels is learned from feature maps; leave it out"
            )
        if isinstance(label, PixelsLabel) and any(change.mixup is not None for change in training.augment):
            raise ValueError("mixup lays two images over each other, and a mask is of one; leave it out")
        if not isinstance(label, ClassAndBoxLabel) or "features" not in info.data:
            return training
        moving = [name for change in training.augment if change.moves for name in change.model_fields_set]
        if training.cache_views is not None and moving:
            raise ValueError(
                f"cache_views keeps no boxes, and {', '.join(moving)} moves them; leave cache_views out, or what moves"
            )
        if training.cache_views is not None and needs_pictures(label, info.data["features"]):
            fit = images(info.data["features"])[label.image].fit
            raise ValueError(
                f"cache_views keeps no boxes, and fit: {fit} of '{label.image}' moves them; leave cache_views out, or "
                "let the image be stretched"
            )
        if any(change.mixup is not None for change in training.augment):
            raise ValueError(
                "mixup lays two images over each other, and a label of class and box is of one; leave it out"
            )
        return training

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
        mistakes += self._misfits_of_pixels() if isinstance(self.label, PixelsLabel) else self._pixels_of_none()
        if not mistakes and not self.hubs and not any(feature.is_taken_in for feature in self.features.values()):
            mistakes = [f"the model sees nothing: {', '.join(self.features)} have encode: none"]
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _misfits_of_pixels(self) -> Iterator[str]:
        """What does not go with a label of pixels."""
        assert isinstance(self.label, PixelsLabel)
        image = self.label.image
        others = [name for name in self.features if name != image]
        if others:
            yield f"a label of pixels is told from its picture '{image}' alone; leave out {', '.join(others)}"
        fed = fed_hubs(self.hubs)
        if len(fed) != 1:
            yield f"a label of pixels takes the feature maps of one hub module, and features feed {len(fed) or 'none'}"
        for name, hub in fed.items():
            if not hub.outputs:
                example = "such as [block1, block2]"
                yield f"hubs.{name}.outputs names the feature maps that a label of pixels is told from, {example}"
        if self.model.head.hidden:
            yield "model.head.hidden is of dense layers; a label of pixels has `channels`"

    def _pixels_of_none(self) -> Iterator[str]:
        """What goes with a label of pixels alone."""
        for name in (name for name, hub in self.hubs.items() if hub.outputs):
            yield f"hubs.{name}.outputs is for a label of pixels; for one of {self.label.kind}, `output` names one"
        if self.model.head.channels:
            yield f"model.head.channels is for a label of pixels; one of {self.label.kind} has `hidden`"

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


class InferFile(Section):
    """From TFRecords and a TensorFlow Hub module, or a pushed model, to predictions."""

    task: Literal["infer"]
    """What is done: a model is asked about records, and none is trained."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["photos-found"])
    """Names the pipeline; lower-case letters, digits and dashes."""
    data: DataToInfer
    """Where the records are."""
    features: Features = {}
    """What feeds the hub module: images, and texts without a bag. Of a pushed model none need be given: it knows its
    own."""
    hubs: Hubs = {}
    """The one TensorFlow Hub module that is asked, by a name."""
    model: PushedModel | None = None
    """The pushed model that is asked instead."""
    label: ClassLabel | None = None
    """The class of each record, where it is known: predictions are then held to it."""
    predictions: Predictions
    """Where predictions go, and what is in them."""
    training: None = Field(default=None, exclude=True)
    """Task infer trains nothing."""
    evaluation: None = Field(default=None, exclude=True)
    """Task infer blesses nothing; with a label, predictions are held to it."""
    serving: None = Field(default=None, exclude=True)
    """Task infer pushes no model; predictions.destination takes what it makes."""

    @model_validator(mode="after")
    def _asks_one_model(self) -> "InferFile":
        mistakes = [*self._misfits(), *(self._misuse(name, feature) for name, feature in self.features.items())]
        if any(mistakes):
            raise ValueError("; ".join(filter(None, mistakes)))
        return self

    def _misfits(self) -> list[str]:
        if self.model is None and len(self.hubs) != 1:
            count = f"there are {len(self.hubs)} hubs" if self.hubs else "there is neither a hub nor a model"
            return [f"{count}; task infer asks one hub module, or the model of a serving folder (model: {{from: …}})"]
        if self.model is not None and self.hubs:
            return ["there are a hub and a model; task infer asks one of the two"]
        of_hub = self.predictions.model_fields_set & {"labels", "top", "min_score"}
        if self.model is not None and of_hub - ({"top"} if self.label else set()):
            return [f"predictions.{', predictions.'.join(sorted(of_hub))}: for a hub module; leave them out"]
        return []

    def _misuse(self, name: str, feature: Feature) -> str | None:
        is_fed = isinstance(feature, ImageFeature) or (isinstance(feature, TextFeature) and feature.bag is None)
        if self.model is None and not is_fed:
            return f"a hub module takes images and texts as they are; '{name}' is {feature.kind}"
        if self.hubs and not any(name in hub.inputs.values() for hub in self.hubs.values()):
            return f"the hub module does not take '{name}'; name it in its inputs, or leave it out"
        return None


AnyFile: TypeAlias = PipelineFile | InferFile
"""A pipeline file of any task."""

FILES: dict[str, type[PipelineFile] | type[InferFile]] = {"train": PipelineFile, "infer": InferFile}
"""The types of the file by its `task`; without one, it trains."""
