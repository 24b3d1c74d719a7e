"""Makes a training job from the artifacts and properties of a step that trains."""

import hashlib
import json
from typing import Any

import tensorflow_transform as tft
from tfx.types import artifact_utils

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.splits import SPLITS
from hubline.components import module_channels
from hubline.components.input_artifacts import read_schema, split_files
from hubline.core.config_base import read_sections
from hubline.core.errors import DataError
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.summary import Summarizer
from hubline.preprocessing.transform import raw_columns
from hubline.trainer import devices, reference
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.checkpoint_files import checkpoint_digest
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.losses import CustomLoss
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.counts import complete, holding
from hubline.trainer.diagnosis import DataProblem, diagnose
from hubline.trainer.job import Job, Split
from hubline.trainer.user_source import source_digest

_BATCH = 1024  # records per batch for diagnostics


def training_job(
    input_dict: dict, exec_properties: dict[str, Any], model_run: str = "", export: str = "", trains: bool = True
) -> Job:
    """Creates the job.

    Args:
        input_dict: `examples`, `rows`, `schema`, `transform_graph` and modules.
        exec_properties: Sections of the pipeline file, the source of the warm start, and the folder of checkpoints.
        model_run: Folder for TensorBoard logs and kept checkpoints.
        export: Folder for the SavedModel.
        trains: Whether this process trains. One that leaves the training to workers needs no GPU.

    Raises:
        RunError: if a GPU that was asked for isn't there.
        DataError: if the source of the warm start or of the loss has changed since the run began.
    """
    training = Training.model_validate_json(exec_properties["training"])
    if trains:
        devices.check(training.devices)
        devices.prepare(training.devices)
    pinned = _pinned(exec_properties["warm_start"])
    _check_unchanged(pinned)
    if isinstance(training.loss, CustomLoss) and source_digest(training.loss) != exec_properties["loss_source"]:
        raise DataError("training.loss: the source of the function has changed since the run began; run again")
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    rows.check_against(Manifest.read(artifact_utils.get_single_uri(input_dict["examples"])))
    return Job(
        features=read_sections(Features, exec_properties["features"]),
        label=read_sections(Label, exec_properties["label"]),
        hubs=read_sections(Hubs, exec_properties["hubs"]),
        backbones=read_sections(Backbones, exec_properties["backbones"]),
        model=Model.model_validate_json(exec_properties["model_config"]),
        training=training,
        schema=read_schema(input_dict["schema"]),
        transform=tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"])),
        module_paths=module_channels.folders(input_dict),
        train=_split(input_dict, rows, "train"),
        validation=_split(input_dict, rows, "validation"),
        vectors=rows.vectors,
        views=rows.views,
        checkpoints=f"{exec_properties['checkpoints']}/{job_key(input_dict, exec_properties)}",
        warm_start=pinned.path if pinned else None,
        logs=f"{model_run}/tensorboard",
        kept_checkpoints=f"{model_run}/checkpoints",
        export=export,
        reference=f"{model_run}/{reference.FILE}",
    )


def _pinned(warm_start: str) -> ServedVersion | None:
    return ServedVersion.model_validate_json(warm_start) if warm_start else None


def _check_unchanged(source: ServedVersion | None) -> None:
    """Raises DataError if the source of the warm start isn't the one that was pinned."""
    if source is not None and checkpoint_digest(source.path) != source.digest:
        raise DataError(f"training.warm_start: {source.path} has changed since the run began; run again")


def _split(input_dict: dict, rows: EmbeddedRows, name: str) -> Split:
    return Split(
        records=split_files(input_dict["examples"], name),
        rows=split_files(input_dict["rows"], name),
        count=rows.count(name),
        undecodable=rows.undecodable(name),
    )


def diagnosed(input_dict: dict, job: Job) -> list[DataProblem]:
    """Diagnoses the rows of all splits.

    Raises:
        DataError: if there is nothing to learn; lists all findings.
    """
    if job.label.masks:  # masks are stored next to the images, not in rows
        return []
    rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
    splits = {name: _split(input_dict, rows, name) for name in SPLITS}
    spec = parsing_spec(job.schema, raw_columns(job.features, job.label))
    summarizer = Summarizer(job.features, job.label, job.transform, spec)
    with holding(splits):
        summaries = {
            name: summarizer.summarize(complete(read_records(split.rows), split.count).batch(_BATCH))
            for name, split in splits.items()
        }
    found = diagnose(job.features, job.label, job.transform, summaries)
    if any(finding.stops for finding in found):
        raise DataError("\n  ".join(["there is nothing to learn:", *(finding.text for finding in found)]))
    return found


def job_key(input_dict: dict, exec_properties: dict[str, Any]) -> str:
    """Key of a job's checkpoints: the same inputs and properties resume from them, and others start afresh. When
    checkpoints are saved changes nothing else."""
    inputs = {key: [artifact.uri for artifact in artifacts] for key, artifacts in input_dict.items()}
    training = {key: value for key, value in json.loads(exec_properties["training"]).items() if key != "checkpoints"}
    text = json.dumps([inputs, exec_properties | {"training": training}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
