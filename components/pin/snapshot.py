"""Snapshot of a run's inputs: files and their fingerprints, modules, vocabularies, and the serving version."""

from hubline.artifacts.pins import PinnedFile, PinnedFiles, Pins, PinsToInfer, ServedVersion
from hubline.components.backbone.sources import fingerprints
from hubline.components.config.data import Data, DataToInfer
from hubline.components.config.predictions import Predictions, PushedModel
from hubline.components.hub_module.fingerprint import fingerprint
from hubline.components.pin.find import FoundFile, find
from hubline.components.trainer.warm_start_source import pin_warm_start
from hubline.core.digest import file_digest, tree_digest
from hubline.core.errors import UserError
from hubline.preprocessing.config import Features, vocabulary_files
from hubline.preprocessing.vocabulary_files import read_vocabulary
from hubline.serving.model_card import model_digest
from hubline.serving.versions import newest_numbered, newest_version, version_in
from hubline.trainer.backbones.config import NO_BACKBONES, Backbones
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.losses import AnyLoss, CustomLoss
from hubline.trainer.config.warm_start import WarmStart
from hubline.trainer.user_source import source_digest


def pin(
    data: Data,
    features: Features,
    hubs: Hubs,
    destination: str,
    backbones: Backbones = NO_BACKBONES,
    warm_start: WarmStart | None = None,
    loss: AnyLoss | None = None,
) -> Pins:
    """Pins data files, vocabularies, hub modules, the sources of backbones, of the loss and of a warm start, and the
    serving version.

    Raises:
        UserError: if a pattern matches no file, a module or the source of a warm start is missing, or a vocabulary or
            backbone is invalid.
    """
    return Pins(
        files=pin_files(data),
        data_schema=file_digest(data.data_schema) if data.data_schema else None,
        baseline=file_digest(data.baseline) if data.baseline else None,
        vocabularies=pin_vocabularies(features),
        modules={name: fingerprint(hub.handle, hub.sha256) for name, hub in hubs.items()},
        serving=pin_serving(destination),
        backbones=fingerprints(backbones),
        warm_start=pin_warm_start(warm_start, destination),
        loss=pin_loss(loss),
    )


def pin_to_infer(data: DataToInfer, hubs: Hubs, model: PushedModel | None, predictions: Predictions) -> PinsToInfer:
    """Pins data files, hub modules, the model and the newest predictions.

    Raises:
        UserError: if a pattern matches no file, or a model is missing.
    """
    pinned = pin_model(model.folder) if model else None
    newest = newest_numbered(predictions.destination)
    return PinsToInfer(
        files=pin_files(data),
        modules={name: fingerprint(hub.handle, hub.sha256) for name, hub in hubs.items()},
        model=pinned,
        labels=file_digest(predictions.labels) if predictions.labels else None,
        pushed=ServedVersion(path=newest, digest=tree_digest(newest)) if newest else None,
    )


def pin_model(folder: str) -> ServedVersion:
    """Pins the version in a folder, or the newest version in a serving folder.

    Raises:
        UserError: if there is none.
    """
    path = version_in(folder)
    return ServedVersion(path=path, digest=model_digest(path))


def pin_files(data: Data | DataToInfer) -> PinnedFiles:
    """Pins the matching files by path, or the files of the window by span and path if the patterns have spans.

    Raises:
        UserError: if a pattern matches no file, a split lacks a span, or a file is in two splits.
    """
    found = find(data.patterns, data.window)
    by_split = {split: tuple(_pin_file(*file) for file in files.items()) for split, files in found.items()}
    owner: dict[str, str] = {}
    for split, files in by_split.items():
        for file in files:
            if owner.setdefault(file.path, split) != split:
                raise UserError(
                    f"{file.path}: matches data.split.{owner[file.path]} and data.split.{split}; each file must be "
                    "in one split only"
                )
    return PinnedFiles(by_split=by_split)


def _pin_file(path: str, found: FoundFile) -> PinnedFile:
    stat = found.stat
    return PinnedFile(path=path, size=stat.size, modified=stat.modified, version=stat.version, span=found.span)


def pin_vocabularies(features: Features) -> dict[str, str]:
    """SHA-256 of each vocabulary file, by feature.

    Raises:
        UserError: with every fault found.
    """
    found, faults = {}, []
    for name, file in vocabulary_files(features).items():
        try:
            _, found[name] = read_vocabulary(file)
        except UserError as error:
            faults.append(f"features.{name}.vocabulary: {error}")
    if faults:
        raise UserError("\n".join(faults))
    return found


def pin_loss(loss: AnyLoss | None) -> str | None:
    """Pins the source of the user's own loss.

    Raises:
        UserError: if it doesn't exist.
    """
    try:
        return source_digest(loss) if isinstance(loss, CustomLoss) else None
    except UserError as error:
        raise UserError(f"training.loss: {error}") from error


def pin_serving(destination: str) -> ServedVersion | None:
    """Pins the newest version in a serving folder."""
    path = newest_version(destination)
    return ServedVersion(path=path, digest=model_digest(path)) if path else None
