"""Checks everything that a pipeline file refers to before anything expensive starts."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from hubline.artifacts.splits import ALL
from hubline.components.backbone.sources import fingerprint
from hubline.components.example_gen.first_record import columns_of_first_record, columns_of_first_records
from hubline.components.hub_module.handle import digest, look_for, mirrored, read_saved_model
from hubline.components.hub_module.recognise import check_whole
from hubline.components.pin.find import find
from hubline.components.predictor.label_file import read_labels
from hubline.components.trainer.warm_start_source import find_checkpoint
from hubline.core import storage
from hubline.core.config_base import is_remote, path_fault
from hubline.core.config_errors import Location
from hubline.core.digest import check_digest
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile, InferFile, PipelineFile
from hubline.pipeline.diagnostics import Diagnostic, PipelineFileError, nearest
from hubline.pipeline.load import Source
from hubline.pipeline.paths import Paths
from hubline.preprocessing.config import vocabulary_files
from hubline.preprocessing.expression import columns_of_condition
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.vocabulary_files import read_vocabulary
from hubline.serving.versions import version_in
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.losses import CustomLoss
from hubline.trainer.config.model import VariableSelection

if TYPE_CHECKING:
    from hubline.trainer.saved_model import SavedModel
from hubline.trainer.config.warm_start import SERVING
from hubline.trainer.user_source import source_digest


def preflight(file: AnyFile, source: Source, root: Path | None = None) -> None:
    """Checks data files, schema and baseline, vocabularies, local hub modules, weights and functions of backbones,
    the source of a warm start, labels, and the destination of models or predictions.

    Remote paths are not checked.

    Args:
        file: The pipeline file.
        source: Its text.
        root: As in `Paths.of`.

    Raises:
        PipelineFileError: with all problems, each at its line.
    """
    diagnostics = [diagnostic for location, look in _looks(file) for diagnostic in _try(source, location, look)]
    if fault := path_fault(place := str(Paths.of(source.path, file.name, root).root), holds_models=True):
        diagnostics.append(source.diagnostic((), f"{place}: {fault}, such as one that --root names"))
    if diagnostics:
        raise PipelineFileError(diagnostics)


_RECORDS = 100
"""Records that are searched for the columns of `data.where`, which single records may lack."""

Record = tuple[str, Mapping[str, int]]
"""Path of a file, and the number of values in each column of its first record."""


def _first_record(files: Callable[[str], Iterable[str]], splits: Iterable[str]) -> Record | None:
    """The first record of the data; None if missing or unreadable, which has its own error.

    Args:
        files: Lists the files of a split.
        splits: The splits.
    """
    try:
        path = next(path for split in splits for path in files(split))
    except (UserError, OSError):
        return None
    columns = columns_of_first_record(path)
    return None if columns is None else (path, columns)


def _look_for_columns(first_record: Callable[[], Record | None], wanted: Iterable[str], what: str) -> None:
    """Checks the first record for columns that every record must have.

    Args:
        first_record: Reads the record.
        wanted: The columns.
        what: Purpose of the columns, for messages.
    """
    if (first := first_record()) is None:
        return
    path, columns = first
    for column in wanted:
        if column not in columns:
            raise UserError(f"{path}: the first record has no {what} '{column}'; {nearest(column, sorted(columns))}")
        if not columns[column]:
            raise UserError(f"{path}: the {what} '{column}' of the first record is empty; every record needs a value")


def _look_for_condition(first_record: Callable[[], Record | None], condition: str) -> None:
    """Checks that one of the first records has each column that `data.where` names."""
    if (first := first_record()) is None:
        return
    columns, count = columns_of_first_records(first[0], _RECORDS)
    for column in columns_of_condition(condition):
        if column not in columns:
            raise UserError(
                f"{first[0]}: none of the first {count:,} records has a column '{column}'; "
                f"{nearest(column, sorted(columns))}"
            )


Looks = Iterator[tuple[Location, Callable[[], object]]]


def _looks(file: AnyFile) -> Looks:
    patterns = file.data.patterns
    files = cache(lambda split: find({split: patterns[split]}, window=1)[split])
    for split, pattern in patterns.items():
        location = ("data", "examples") if split == ALL else ("data", "split", split)
        if not is_remote(pattern):
            yield location, partial(files, split)
    if not any(map(is_remote, patterns.values())) and file.data.bad_records.policy == "fail":
        yield from _looks_at_first_records(file, cache(partial(_first_record, files, patterns)))
    for name, hub in file.hubs.items():
        if not is_remote(mirrored(hub.handle)):
            yield ("hubs", name, "sha256" if hub.sha256 else "handle"), partial(_look_for_module, hub)
            yield ("hubs", name, "handle"), partial(_look_at_operations, hub)
    yield from _looks_to_infer(file) if isinstance(file, InferFile) else _looks_to_train(file)


def _looks_at_first_records(file: AnyFile, first_record: Callable[[], Record | None]) -> Looks:
    if isinstance(file, PipelineFile) and file.data.where:  # the first record may be left out, and lack any column
        yield ("data", "where"), partial(_look_for_condition, first_record, file.data.where)
        return
    for name, image in images(file.features).items():
        yield ("features", name), partial(_look_for_columns, first_record, [image.column or name], image.kind)
    if file.label and file.label.required:
        yield ("label",), partial(_look_for_columns, first_record, file.label.required, "label")
    if file.training and (weight := file.training.sample_weight):
        yield ("training", "sample_weight"), partial(_look_for_columns, first_record, [weight], "sample weight")


def _looks_to_infer(file: InferFile) -> Looks:
    if file.model and not is_remote(file.model.folder):
        yield ("model", "from"), partial(_look_at_path, file.model.folder)
        yield ("model", "from"), partial(version_in, file.model.folder)
    labels, destination = file.predictions.labels, file.predictions.destination
    if labels and not is_remote(labels):
        yield ("predictions", "labels"), partial(read_labels, labels)
    if not is_remote(destination):
        what = "folder of predictions"
        yield ("predictions", "destination"), partial(_look_at_destination, Path(destination), what)


def _looks_to_train(file: PipelineFile) -> Looks:
    schema = file.data.data_schema
    if schema and not is_remote(schema):
        yield ("data", "schema"), partial(_look_for_schema, schema)
    baseline = file.data.baseline
    if baseline and not is_remote(baseline):
        yield ("data", "baseline"), partial(_look_for_baseline, baseline)
    for name, vocabulary in vocabulary_files(file.features).items():
        if not is_remote(vocabulary.file):
            yield ("features", name, "vocabulary", "file"), partial(read_vocabulary, vocabulary)
    for name, hub in file.hubs.items():
        tuned = file.model.tuned(name)
        if tuned is not None and not is_remote(mirrored(hub.handle)):
            key = ("variables",) if tuned.variables else ("last",) if tuned.last else ()
            several = (file.training.devices.count or 1) * file.training.workers > 1
            yield ("model", "fine_tune", name, *key), partial(_look_at_variables, hub, tuned, several)
    for name, backbone in file.backbones.items():
        weights = backbone.weights_file
        if weights is None or not is_remote(weights):
            key = ("weights",) if weights else ("call",) if backbone.kind == "builder" else ()
            yield ("backbones", name, *key), partial(fingerprint, backbone)
    warm_start = file.training.warm_start
    if warm_start is not None and warm_start.source != SERVING and not is_remote(warm_start.source):
        yield ("training", "warm_start", "from"), partial(find_checkpoint, warm_start.source)
    if isinstance(file.training.loss, CustomLoss):
        yield ("training", "loss", "call"), partial(source_digest, file.training.loss)
    if not is_remote(file.serving.destination):
        yield ("serving", "destination"), partial(_look_at_path, file.serving.destination)
        serving = Path(file.serving.destination)
        yield ("serving", "destination"), partial(_look_at_destination, serving, "serving folder")
    for hub in file.hubs.values() if file.export.frozen_graph else ():
        if not is_remote(mirrored(hub.handle)):
            yield ("export", "frozen_graph"), partial(_look_for_tables, hub)
    if file.export.publish and not is_remote(file.export.publish.to):
        yield ("export", "publish", "to"), partial(_look_at_path, file.export.publish.to)
        modules = Path(file.export.publish.to)
        yield ("export", "publish", "to"), partial(_look_at_destination, modules, "folder of modules")
    if file.serving.kserve and not is_remote(file.serving.kserve.models):
        models = Path(file.serving.kserve.models)
        yield ("serving", "kserve", "models"), partial(_look_at_destination, models, "folder of models")


def _try(source: Source, location: Location, look: Callable[[], object]) -> list[Diagnostic]:
    try:
        look()
    except UserError as error:
        return [source.diagnostic(location, str(error))]
    except OSError as error:  # a folder without permission, or a name that is too long
        return [source.diagnostic(location, f"{error.filename}: {error.strerror}")]
    return []


def _look_at_path(path: str) -> None:
    if fault := path_fault(path, holds_models=True):
        raise UserError(f"{path}: {fault}")


def _look_for_schema(path: str) -> None:
    # Imported here because few pipelines have a curated schema.
    from hubline.components.curated_schema.read import read_curated

    read_curated(path)


def _look_for_baseline(path: str) -> None:
    if not storage.exists(path) or storage.is_folder(path):
        raise UserError(
            f"{path}: there is no such file; create a baseline, statistics.pb, with `hubline schema FILE --freeze`"
        )
    # Imported here because few pipelines have a baseline.
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    try:
        with storage.open_binary(path) as file:
            statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())
    except DecodeError:
        statistics = statistics_pb2.DatasetFeatureStatisticsList()
    if not statistics.datasets:
        raise UserError(f"{path}: not a statistics.pb (a DatasetFeatureStatisticsList of TensorFlow Data Validation)")


def _look_for_module(hub: Hub) -> None:
    place = mirrored(hub.handle)
    look_for(place)
    if hub.sha256 is not None:
        check_digest(hub.handle, digest(place), hub.sha256)


def _look_at_operations(hub: Hub) -> None:
    # Imported here, as below, because not every pipeline has a module.
    from hubline.trainer.operations import check
    from hubline.trainer.reaching_operations import refuse_reaching
    from hubline.trainer.saved_model import SavedModel

    if not _is_there(hub):
        return
    place = mirrored(hub.handle)
    saved = SavedModel.parse(read_saved_model(place), hub.handle)
    if storage.is_folder(place):
        check_whole(hub.handle, place, bool(saved.variables))
    try:
        check(saved.operations)
        refuse_reaching(saved, hub.allow_operations)
    except UserError as error:
        raise UserError(f"{hub.handle}: {error}") from None


def _look_for_tables(hub: Hub) -> None:
    """Checks that a module can be part of a frozen graph."""
    saved = _module_of(hub)
    if saved is None:
        return
    if saved.format == "TF1" and any("HashTable" in operation for operation in saved.operations):
        raise UserError(f"{hub.handle}: a TF1 module with tables of its own can't be frozen; remove frozen_graph")


def _look_at_variables(hub: Hub, tuned: VariableSelection, on_several: bool) -> None:
    from hubline.trainer.saved_model import to_train
    from hubline.trainer.tf1.limits import ON_ONE_DEVICE, check_module

    saved = _module_of(hub)
    if saved is None:
        return
    to_train(saved.variables, tuned)
    if saved.format == "TF1":
        if on_several:
            raise UserError(ON_ONE_DEVICE)
        check_module(saved.graph, saved.training_graph, hub.signature, tuned.training_mode)


def _module_of(hub: Hub) -> "SavedModel | None":
    """The module; None if it doesn't exist or is no SavedModel, which has an error of its own."""
    from hubline.trainer.saved_model import SavedModel

    if not _is_there(hub):
        return None
    try:
        return SavedModel.parse(read_saved_model(mirrored(hub.handle)), hub.handle)
    except UserError:
        return None


def _is_there(hub: Hub) -> bool:
    """Whether the module exists; if not, that has its own error."""
    try:
        look_for(mirrored(hub.handle))
    except UserError:
        return False
    return True


def _look_at_destination(destination: Path, what: str) -> None:
    """Writes temporarily into a folder or, if it doesn't exist yet, into its closest existing parent."""
    ancestor = next(path for path in (destination, *destination.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=ancestor).close()
    except OSError as error:
        raise UserError(f"{destination}: the {what} is not writable: {error.strerror}") from None
