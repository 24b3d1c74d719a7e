"""The inputs and outputs of a training run."""

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
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.memo import Memo, NoMemo


@dataclass(frozen=True)
class Split:
    """The examples of one split, as records and as rows."""

    records: Sequence[str]
    """TFRecord files of whole records."""
    rows: Sequence[str]
    """TFRecord files of the same records in the same order, without images but with cached vectors."""
    count: int
    """Number of rows."""
    undecodable: Sequence[int] = ()
    """Indices of the records without a row, counted over all files."""


@dataclass(frozen=True)
class Job:
    """The inputs and outputs of a training run."""

    features: Features
    label: Label
    hubs: Hubs
    model: Model
    training: Training
    schema: schema_pb2.Schema
    transform: tft.TFTransformOutput
    module_paths: Mapping[str, str]
    """The folder of each hub module by name, and of each backbone that has files."""
    train: Split
    validation: Split
    vectors: CachedVectors
    """The cached vectors in the rows."""
    views: int
    """Views of each example in the rows of the training split."""
    checkpoints: str
    """A folder that survives a failed or killed run; the next run of the same job resumes from it."""
    logs: str
    """Folder for TensorBoard logs."""
    export: str
    """Folder for the SavedModel."""
    kept_checkpoints: str = ""
    """Folder for the checkpoints that `training.checkpoints.max_to_keep` keeps."""
    reference: str = ""
    """File for answers of the trained model; empty for none."""
    warm_start: str | None = None
    """The checkpoint that `training.warm_start` takes values from, without `.index`."""
    backbones: Backbones = field(default_factory=dict)
    """Backbones other than hub modules."""
    memo: Memo = field(default_factory=NoMemo)
    """What the job shares with others on the same data."""

    @property
    def label_spec(self) -> ParsingSpec:
        """Parsing spec of the label's columns."""
        return parsing_spec(self.schema, self.label.columns)
