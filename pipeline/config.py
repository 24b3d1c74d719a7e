"""The pipeline file as a whole, composed of the sections that the subpackages own.

The rules between sections are in `pipeline/rules`; `pipeline/validate.py` applies them to what a user wrote.
"""

from typing import Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator

from hubline.components.beam import Beam
from hubline.components.config.data import Data, DataToInfer
from hubline.components.config.evaluation import Evaluation
from hubline.components.config.predictions import Predictions, PushedModel
from hubline.components.config.serving import Serving
from hubline.core.config_base import Section
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.preprocessing.config import Features, FeaturesToInfer, Label
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.trainer.backbones.config import AnyBackbone, Backbones
from hubline.trainer.config.export import Export
from hubline.trainer.config.hubs import Hub, Hubs, fed_hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import Tune


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
    tune: Tune | None = Field(
        default=None,
        examples=[{"training.optimizer.learning_rate": {"log": [1e-5, 1e-2]}, "objective": "val_accuracy"}],
    )
    """Values of `model` and `training` to search before the model is trained. The model is trained with those of the
    best trial."""
    evaluation: Evaluation = Field(default=Evaluation(), validate_default=True)
    """Metrics and thresholds that decide whether a model is blessed."""
    export: Export = Export()
    """Other forms of the model next to the SavedModel, such as a TFLite model."""
    serving: Serving
    """Where a blessed model is pushed."""
    beam: Beam = Beam()
    """Where steps that process data in parallel run."""
    kubeflow: Kubeflow = Kubeflow()
    """Deployment on Kubeflow Pipelines, as `hubline compile` reads it."""

    @field_validator("evaluation")
    @classmethod
    def _has_the_defaults_of_the_label(cls, evaluation: Evaluation, info: ValidationInfo) -> Evaluation:
        label: Label | None = info.data.get("label")
        return evaluation.of_label(label.kind) if label else evaluation  # an invalid label has its own errors

    @property
    def fed_features(self) -> Features:
        """Features that are inputs of hub modules or backbones."""
        modules: tuple[Hub | AnyBackbone, ...] = (*fed_hubs(self.hubs).values(), *self.backbones.values())
        fed = {name for module in modules for name in module.inputs.values()}
        return {name: feature for name, feature in self.features.items() if name in fed}


class InferFile(Section):
    """Predicts on TFRecords with a TensorFlow Hub module or a pushed model."""

    task: Literal["infer"]
    """`infer` runs a model over records; nothing is trained."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["photos-found"])
    """Name of the pipeline: lower-case letters, digits and dashes."""
    data: DataToInfer
    """Records to predict on."""
    features: FeaturesToInfer = {}
    """Inputs of the hub module, by name: images, clips, sounds, numbers, and texts without a bag. Leave this out for a
    pushed model, which has its own features."""
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
    tune: None = Field(default=None, exclude=True)
    """Not used: `infer` trains nothing."""
    evaluation: None = Field(default=None, exclude=True)
    """Not used: `infer` blesses nothing. With a label, predictions are evaluated."""
    export: None = Field(default=None, exclude=True)
    """Not used: `infer` exports no model."""
    serving: None = Field(default=None, exclude=True)
    """Not used: `infer` pushes no model. Predictions go to `predictions.destination`."""


AnyFile: TypeAlias = PipelineFile | InferFile
"""A pipeline file of either task."""

FILES: dict[str, type[PipelineFile] | type[InferFile]] = {"train": PipelineFile, "infer": InferFile}
"""Types of pipeline file by `task`. The default task is `train`."""
