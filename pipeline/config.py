"""The pipeline file as a whole, composed of the sections that the rooms own."""

from pydantic import Field

from components.config import Data, Evaluation, Serving
from preprocessing.config import Features, Label
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
    hubs: Hubs = Field(min_length=1)
    """The TensorFlow Hub modules, by name."""
    model: Model = Model()
    """What stands on the modules."""
    training: Training
    """How the model is trained."""
    evaluation: Evaluation = Evaluation()
    """How a trained model is judged."""
    serving: Serving
    """Where blessed models go."""
