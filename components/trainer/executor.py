"""What Trainer does when it runs."""

import hashlib
import json
from typing import Any

import tensorflow_transform as tft
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.artifacts import read_schema, split_files
from components.embedder.manifest import Rows
from components.hub_module import channels
from preprocessing import json_text
from preprocessing.config import Features, Label
from preprocessing.section import read_sections
from trainer.backbones.config import Backbones
from trainer.config import Hubs, Model, Training
from trainer.notes import FILE, Note, Notes
from trainer.train import Job, Split, train


class Executor(base_executor.BaseExecutor):
    """Puts artifacts and properties together into a training job and runs it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `model` with the SavedModel, and `model_run` with TensorBoard's logs, the curves and the notes."""
        rows = Rows.read(artifact_utils.get_single_uri(input_dict["rows"]))
        model_run = artifact_utils.get_single_uri(output_dict["model_run"])

        def split(name: str) -> Split:
            return Split(
                records=split_files(input_dict["examples"], name),
                rows=split_files(input_dict["rows"], name),
                count=rows.count(name),
                undecodable=rows.undecodable(name),
            )

        job = Job(
            features=read_sections(Features, exec_properties["features"]),
            label=read_sections(Label, exec_properties["label"]),
            hubs=read_sections(Hubs, exec_properties["hubs"]),
            backbones=read_sections(Backbones, exec_properties["backbones"]),
            model=Model.model_validate_json(exec_properties["model_config"]),
            training=Training.model_validate_json(exec_properties["training"]),
            schema=read_schema(input_dict["schema"]),
            transform=tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"])),
            module_paths=channels.folders(input_dict),
            train=split("train"),
            validation=split("validation"),
            vectors=rows.vectors,
            views=rows.views,
            checkpoints=f"{exec_properties['checkpoints']}/{_job_key(input_dict, exec_properties)}",
            logs=f"{model_run}/tensorboard",
            export=path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"])),
        )
        notes: list[Note] = []
        curves = train(job, notes)
        with fileio.open(f"{model_run}/curves.json", "w") as file:
            file.write(json_text.dumps(curves))
        with fileio.open(f"{model_run}/{FILE}", "w") as file:
            file.write(Notes(notes=tuple(notes)).model_dump_json(indent=2))


def _job_key(input_dict: dict, exec_properties: dict[str, Any]) -> str:
    """Names the checkpoints of a job: the same inputs and properties find them again, any other start afresh."""
    inputs = {key: [artifact.uri for artifact in artifacts] for key, artifacts in input_dict.items()}
    text = json.dumps([inputs, exec_properties], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
