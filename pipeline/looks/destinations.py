"""Looks at the folders that a run writes to, and at the pushed model that `infer` predicts with."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hubline.components.config.predictions import Predictions, PushedModel
from hubline.components.config.serving import Serving
from hubline.components.predictor.label_file import read_labels
from hubline.core import storage
from hubline.core.config_base import is_remote, path_fault
from hubline.core.config_errors import PlacedError
from hubline.core.errors import UserError
from hubline.pipeline.looks.look import fault_at
from hubline.serving.versions import newest_version, version_in
from hubline.trainer.config.export import Export


def models_can_be_pushed(serving: Serving) -> Iterator[PlacedError]:
    if not is_remote(serving.destination):
        key = ("serving", "destination")
        yield from fault_at(key, partial(_look_at_path, serving.destination))
        yield from fault_at(key, partial(_look_at_destination, serving.destination, "serving folder"))
    if serving.kserve and not is_remote(serving.kserve.models):
        look = partial(_look_at_destination, serving.kserve.models, "folder of models")
        yield from fault_at(("serving", "kserve", "models"), look)


def modules_can_be_published(export: Export) -> Iterator[PlacedError]:
    if export.publish and not is_remote(export.publish.to):
        key = ("export", "publish", "to")
        yield from fault_at(key, partial(_look_at_path, export.publish.to))
        yield from fault_at(key, partial(_look_at_destination, export.publish.to, "folder of modules"))


def the_model_exists(model: PushedModel | None) -> Iterator[PlacedError]:
    if model and not is_remote(model.folder):
        yield from fault_at(("model", "from"), partial(_look_at_path, model.folder))
        yield from fault_at(("model", "from"), partial(version_in, model.folder))


def the_model_takes_records(model: PushedModel | None) -> Iterator[PlacedError]:
    if model and model.record_input and not is_remote(model.folder):
        yield from fault_at(("model", "signature" if model.signature else "from"), partial(_look_at_signatures, model))


def predictions_can_be_written(predictions: Predictions) -> Iterator[PlacedError]:
    labels, destination = predictions.labels, predictions.destination
    if labels and not is_remote(labels):
        yield from fault_at(("predictions", "labels"), partial(read_labels, labels))
    if not is_remote(destination):
        look = partial(_look_at_destination, destination, "folder of predictions")
        yield from fault_at(("predictions", "destination"), look)


def _look_at_signatures(model: PushedModel) -> None:
    """Checks, by its protos, that a model takes serialized tf.Examples and reaches nothing else."""
    # Imported here, because few pipelines have such a model.
    from hubline.components.predictor.record_signature import examples_signature
    from hubline.trainer.reaching_operations import refuse_reaching
    from hubline.trainer.saved_model import SavedModel
    from hubline.trainer.saved_model_interface import RareInterfaceError, interface_of

    path = newest_version(model.folder) if not storage.exists(f"{model.folder}/saved_model.pb") else model.folder
    if path is None:  # `the_model_exists` says so
        return
    saved = SavedModel.parse(storage.read_bytes(f"{path}/saved_model.pb"), path)
    try:
        refuse_reaching(saved, model.allow_operations)
        examples_signature(interface_of(saved).signatures, model.signature)
    except RareInterfaceError:  # the run reads it
        return
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _look_at_path(path: str) -> None:
    if fault := path_fault(path, holds_models=True):
        raise UserError(f"{path}: {fault}")


def _look_at_destination(folder: str, what: str) -> None:
    """Writes temporarily into a folder or, if it doesn't exist yet, into its closest existing parent."""
    destination = Path(folder)
    ancestor = next(path for path in (destination, *destination.parents) if path.exists())
    if not ancestor.is_dir():
        raise UserError(f"{folder}: the {what} can't be made, as {ancestor} is a file")
    try:
        tempfile.TemporaryFile(dir=ancestor).close()
    except OSError as error:
        raise UserError(f"{folder}: the {what} is not writable: {error.strerror}") from None


LOOKS_TO_TRAIN = (models_can_be_pushed, modules_can_be_published)
LOOKS_TO_INFER = (the_model_exists, the_model_takes_records, predictions_can_be_written)
