"""The pipeline file as a whole, composed of the sections that the subpackages own."""

import shlex
from collections.abc import Iterable
from typing import Literal, TypeAlias

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails

from hubline.components.beam import Beam
from hubline.components.config.data import Data, DataToInfer
from hubline.components.config.evaluation import Evaluation
from hubline.components.config.predictions import Predictions, PushedModel
from hubline.components.config.serving import Serving
from hubline.core.config_base import Section
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.labels.parts import RULES
from hubline.preprocessing.config import Feature, Features, FeaturesToInfer, Label, images
from hubline.preprocessing.kinds.image import ImageFeature, Pictures
from hubline.preprocessing.kinds.kind import Categories
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.trainer.backbones.config import AnyBackbone, Backbones, Builder
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub, Hubs, augmenting_hubs, fed_hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


class PipelineFile(Section):
    """Trains on TFRecords and TensorFlow Hub modules and pushes a validated SavedModel to serving."""

    task: Literal["train"] = "train"
    """`train` trains a model. `infer` predicts with an existing one; its file has different keys."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["taxi-tips"])
    """Name of the pipeline: lower-case letters, digits and dashes."""
    data: Data
    """Training data: where it is and how it is split."""
    features: Features = Field(min_length=1)
    """Inputs of the model, by name."""
    label: Label
    """What the model predicts."""
    hubs: Hubs = {}
    """TensorFlow Hub modules, by name."""
    backbones: Backbones = {}
    """Networks other than hub modules that embed an input, by name: from keras.applications, trained from scratch, or
    your own."""
    model: Model = Model()
    """Layers on top of the features, hub modules and backbones."""
    training: Training
    """Epochs, batch size, optimizer and the rest of training."""
    evaluation: Evaluation = Field(default=Evaluation(), validate_default=True)
    """Metrics and thresholds that decide whether a model is blessed."""
    serving: Serving
    """Where a blessed model is pushed."""
    beam: Beam = Beam()
    """Where steps that process data in parallel run."""
    kubeflow: Kubeflow = Kubeflow()
    """Deployment on Kubeflow Pipelines, as `hubline compile` reads it."""

    @field_validator("label")
    @classmethod
    def _is_in_a_picture(cls, label: Label, info: ValidationInfo) -> Label:
        if label.picture is not None and "features" in info.data:
            pictures = [name for name, each in info.data["features"].items() if isinstance(each, ImageFeature)]
            if label.picture not in pictures:
                known = ", ".join(sorted(pictures)) or "none"
                raise ValueError(
                    f"image names the feature '{label.picture}', and the features of kind image are: {known}"
                )
        return label

    @field_validator("training")
    @classmethod
    def _suits_the_label(cls, training: Training, info: ValidationInfo) -> Training:
        if {"features", "label"} <= info.data.keys():  # otherwise features or label have their own errors
            label: Label = info.data["label"]
            if mistake := RULES.of(label.kind).training_mistake(label, training, info.data["features"]):
                raise ValueError(mistake)
        return training

    @field_validator("evaluation")
    @classmethod
    def _judges_the_label(cls, evaluation: Evaluation, info: ValidationInfo) -> Evaluation:
        label: Label | None = info.data.get("label")
        if label is None:  # the label has its own errors
            return evaluation
        mistakes = [
            InitErrorDetails(type="value_error", loc=place, input=None, ctx={"error": ValueError(mistake)})
            for place, mistake in evaluation.misfits(label.kind).items()
        ]
        if mistakes:
            raise ValidationError.from_exception_data(cls.__name__, mistakes)
        return evaluation.of_label(label.kind)

    @field_validator("training")
    @classmethod
    def _augments_what_there_is(cls, training: Training, info: ValidationInfo) -> Training:
        if not {"features", "label", "hubs"} <= info.data.keys():  # these sections have their own errors
            return training
        found = augment_mistakes(training, info.data["features"], info.data["label"], info.data["hubs"])
        mistakes = [
            InitErrorDetails(type="value_error", loc=("augment", place), input=None, ctx={"error": ValueError(mistake)})
            for place, mistake in found.items()
        ]
        if mistakes:
            raise ValidationError.from_exception_data(cls.__name__, mistakes)
        return training

    @field_validator("training")
    @classmethod
    def _watches_a_metric_of_the_label(cls, training: Training, info: ValidationInfo) -> Training:
        label: Label | None = info.data.get("label")
        mistake = training.early_stopping.misfit(label.kind) if label and training.early_stopping else None
        if mistake:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type="value_error",
                        loc=("early_stopping", "monitor"),
                        input=None,
                        ctx={"error": ValueError(mistake)},
                    )
                ],
            )
        return training

    @model_validator(mode="after")
    def _has_a_use_for_each_feature(self) -> "PipelineFile":
        mistakes = [mistake for name, feature in self.features.items() if (mistake := self._misuse(name, feature))]
        mistakes += [mistake for name in self.hubs if (mistake := self._idle(name))]
        mistakes += [mistake for name in self.backbones if (mistake := self._misfit(name))]
        mistakes += RULES.of(self.label.kind).mistakes(self)
        if not self.hubs and not self.backbones and not any(each.is_taken_in for each in self.features.values()):
            mistakes.append(
                "the model sees nothing: there are neither hubs nor backbones, and it takes in no column by itself"
            )
        if self.backbones and self.training.cache_views is not None:
            mistakes.append(
                "training.cache_views is for hub modules alone: a backbone sees every image changed anew; leave it out"
            )
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    def _idle(self, hub: str) -> str | None:
        if self.hubs[hub].role == "augment":
            return self._idle_augmenting(hub)
        if self.hubs[hub].inputs:
            return None
        if hub in self.model.fine_tune:
            return f"model.fine_tune names '{hub}', which no feature feeds: hubs.{hub}.inputs says what does"
        if not any(isinstance(each, Categories) and each.pretrained == hub for each in self.features.values()):
            return f"hubs.{hub} has no inputs, and no feature's embedding begins with it; say which feature feeds it"
        return None

    def _idle_augmenting(self, hub: str) -> str | None:
        (name,) = self.hubs[hub].inputs.values()
        if hub in self.model.fine_tune:
            return f"model.fine_tune names '{hub}', which augments; only what a head stands on is trained"
        if name in self.features and not isinstance(self.features[name], ImageFeature):
            return f"hubs.{hub} augments images; '{name}' is {self.features[name].kind}"
        if not any(change.hub == hub for change in self.training.augment):
            return f"hubs.{hub} augments, and training.augment does not name it: {{hub: {hub}}}"
        return None

    def _misfit(self, name: str) -> str | None:
        """The error in a backbone's name or inputs, if any."""
        backbone = self.backbones[name]
        if name in self.hubs:
            return f"'{name}' is a hub module and a backbone; call one of them something else"
        if isinstance(backbone, Builder):
            return None
        for fed in backbone.inputs.values():
            feature = self.features[fed]
            if not isinstance(feature, ImageFeature):
                return f"the backbone '{name}' takes an image; '{fed}' is {feature.kind}"
            if feature.channels not in backbone.channels:
                return f"the backbone '{name}' takes images of 3 channels; '{fed}' has {feature.channels}"
            if min(feature.size) < backbone.least:
                least, size = backbone.least, " x ".join(map(str, feature.size))
                return f"the backbone '{name}' takes images of {least} x {least} and more; '{fed}' is {size}"
        return None

    def _takers(self, feature: str) -> dict[str, Hub | AnyBackbone]:
        """The hub modules and backbones that use a feature, by their description."""
        hubs = {f"the hub module '{name}'": hub for name, hub in fed_hubs(self.hubs).items()}
        backbones = {f"the backbone '{name}'": backbone for name, backbone in self.backbones.items()}
        return {name: taker for name, taker in (hubs | backbones).items() if feature in taker.inputs.values()}

    def _misuse(self, name: str, feature: Feature) -> str | None:
        takers = self._takers(name)
        is_for_hubs = isinstance(feature, Pictures) or (isinstance(feature, TextFeature) and feature.bag is None)
        if takers and not is_for_hubs:
            what = "text with a bag" if feature.kind == "text" else feature.kind
            return f"{next(iter(takers))} takes images, clips and texts as they are; '{name}' is {what}"
        if is_for_hubs and not takers:
            return (
                f"no hub module or backbone takes the {feature.kind} '{name}'; name it in the inputs of one, or leave "
                "it out"
            )
        if isinstance(feature, ImageFeature) and not _in_range(takers.values()):
            said = "standardize" if feature.standardize else "value_range" if feature.value_range != (0, 1) else None
            if said:
                return f"{next(iter(takers))} scales the pixels of '{name}' in its own way; leave {said} out"
        if isinstance(feature, Categories) and feature.pretrained is not None:
            words = self.hubs.keys() - augmenting_hubs(self.hubs).keys()
            if feature.pretrained not in words:
                known = ", ".join(sorted(words)) or "none"
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
        """Features that are inputs of hub modules or backbones."""
        return {name: feature for name, feature in self.features.items() if self._takers(name)}


def _in_range(takers: Iterable[Hub | AnyBackbone]) -> bool:
    """Whether any of them requires images in their feature's `value_range`, or standardized."""
    return any(isinstance(taker, Hub) or taker.takes_range for taker in takers)


def augment_mistakes(training: Training, features: Features, label: Label, hubs: Hubs) -> dict[int, str]:
    """Errors by index in `training.augment`."""
    found = {place: _augment_mistake(change, features, label, hubs) for place, change in enumerate(training.augment)}
    return {place: mistake for place, mistake in found.items() if mistake}


def _augment_mistake(change: Augmentation, features: Features, label: Label, hubs: Hubs) -> str | None:
    pictures = images(features)
    if not pictures:
        return "augment changes images, and no feature is one; leave it out"
    if change.hub is not None and change.hub not in augmenting_hubs(hubs):
        return f"hubs.{change.hub} is a backbone; one that changes images says role: augment"
    if change.hub is not None and (mistake := _moves_a_label(change.hub, label, hubs)):
        return mistake
    if (change.saturation or change.hue) and all(picture.channels == 1 for picture in pictures.values()):
        return "saturation and hue are of colours, and every image has channels: 1; leave it out"
    if change.mixup is None:
        return None
    if not label.can_be_mixed:
        return f"mixup mixes labels, and one of kind {label.kind} cannot be mixed; leave it out"
    others = [name for name, feature in features.items() if name not in pictures]
    return (
        f"mixup mixes images, and the model sees others besides: {', '.join(others)}; leave it out" if others else None
    )


def _moves_a_label(name: str, label: Label, hubs: Hubs) -> str | None:
    """Why an augmenting module can't be used with a label that refers to positions in the image."""
    hub = hubs[name]
    if label.picture not in hub.inputs.values() or hub.moves_pixels is False:
        return None
    targets = RULES.of(label.kind).targets
    says = "moves pixels" if hub.moves_pixels else "may move pixels"
    return (
        f"hubs.{name} {says} of '{label.picture}', and the label's {targets} would stay where they are; if the module "
        f"moves nothing, say so with hubs.{name}.moves_pixels: false"
    )


class InferFile(Section):
    """Predicts on TFRecords with a TensorFlow Hub module or a pushed model."""

    task: Literal["infer"]
    """`infer` runs a model over records; nothing is trained."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["photos-found"])
    """Name of the pipeline: lower-case letters, digits and dashes."""
    data: DataToInfer
    """Records to predict on."""
    features: FeaturesToInfer = {}
    """Inputs of the hub module, by name: images, clips, and texts without a bag. Leave this out for a pushed model,
    which has its own features."""
    hubs: Hubs = {}
    """The TensorFlow Hub module to predict with, under a name of your choice."""
    model: PushedModel | None = None
    """The pushed model to predict with, instead of a hub module."""
    label: ClassLabel | None = None
    """The true class of each record, if known. Predictions are evaluated against it."""
    predictions: Predictions
    """Where to write predictions, and in what form."""
    beam: Beam = Beam()
    """Where steps that process data in parallel run."""
    kubeflow: Kubeflow = Kubeflow()
    """Deployment on Kubeflow Pipelines, as `hubline compile` reads it."""
    training: None = Field(default=None, exclude=True)
    """Not used: `infer` trains nothing."""
    evaluation: None = Field(default=None, exclude=True)
    """Not used: `infer` blesses nothing. With a label, predictions are evaluated."""
    serving: None = Field(default=None, exclude=True)
    """Not used: `infer` pushes no model. Predictions go to `predictions.destination`."""

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
        if augmenting := augmenting_hubs(self.hubs):
            return [f"hubs.{next(iter(augmenting))} has role: augment, which is for training; leave the role out"]
        if self.model is not None and self.hubs:
            return ["there are a hub and a model; task infer asks one of the two"]
        idle = [name for name, hub in self.hubs.items() if not hub.inputs]
        if idle:
            return [
                f"hubs.{idle[0]} has no inputs; say which feature feeds each. A generator takes a vector of numbers, "
                f"and no feature: it is asked by "
                f"hubline predict --hub {shlex.quote(self.hubs[idle[0]].handle)} --latent N"
            ]
        of_hub = self.predictions.model_fields_set & {"labels", "top", "min_score"}
        if self.model is not None and of_hub - ({"top"} if self.label else set()):
            return [f"predictions.{', predictions.'.join(sorted(of_hub))}: for a hub module; leave them out"]
        return []

    def _misuse(self, name: str, feature: Feature) -> str | None:
        is_fed = isinstance(feature, Pictures) or (isinstance(feature, TextFeature) and feature.bag is None)
        if self.model is None and not is_fed:
            return f"a hub module takes images, clips and texts as they are; '{name}' is {feature.kind}"
        if self.hubs and not any(name in hub.inputs.values() for hub in self.hubs.values()):
            return f"the hub module does not take '{name}'; name it in its inputs, or leave it out"
        return None


AnyFile: TypeAlias = PipelineFile | InferFile
"""A pipeline file of either task."""

FILES: dict[str, type[PipelineFile] | type[InferFile]] = {"train": PipelineFile, "infer": InferFile}
"""Types of pipeline file by `task`. The default task is `train`."""
