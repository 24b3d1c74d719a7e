"""All that a training run is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.preprocessing.columns import ParsingSpec, parsing_spec
from hubline.preprocessing.config import Features, Label
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import Vectors


@dataclass(frozen=True)
class Split:
    """The examples of one split, as records and as rows."""

    records: Sequence[str]
    """TFRecord files of whole records."""
    rows: Sequence[str]
    """TFRecord files of the same records in the same order, less their images, plus the kept vectors."""
    count: int
    """How many rows there are."""
    undecodable: Sequence[int] = ()
    """The records that have no row, by their number over all files, one after the other."""


@dataclass(frozen=True)
class Job:
    """All that a training run is made of."""

    features: Features
    label: Label
    hubs: Hubs
    model: Model
    training: Training
    schema: schema_pb2.Schema
    transform: tft.TFTransformOutput
    module_paths: Mapping[str, str]
    """The folder of each hub module, by its name, and of each backbone that has files."""
    train: Split
    validation: Split
    vectors: Vectors
    """What the rows hold."""
    views: int
    """How many views of each example the rows of the training split hold."""
    checkpoints: str
    """A folder that survives a failed or killed run; the next run with the same job goes on from what it holds."""
    logs: str
    """The folder that TensorBoard reads."""
    export: str
    """The folder that the SavedModel is written to."""
    backbones: Backbones = field(default_factory=dict)
    """Those that are no hub modules."""

    @property
    def label_spec(self) -> ParsingSpec:
        """How the columns of the label are parsed."""
        return parsing_spec(self.schema, self.label.columns)
