"""Checks a pipeline file and everything that it refers to before anything expensive starts."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hubline.core.config_base import path_fault
from hubline.core.config_errors import PlacedError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import Diagnostic, PipelineFileError
from hubline.pipeline.load import Reading, Source, read
from hubline.pipeline.looks import columns, destinations, files, modules, records, serving, sources
from hubline.pipeline.looks.sample import Sample
from hubline.pipeline.paths import Paths
from hubline.pipeline.rules import beam
from hubline.pipeline.rules.rule import Rule, errors_of

_LOOKS: tuple[Rule, ...] = (*files.LOOKS, *records.LOOKS, *columns.LOOKS, *modules.LOOKS)
_TO_TRAIN: tuple[Rule, ...] = (
    *files.LOOKS_TO_TRAIN,
    *records.LOOKS_TO_TRAIN,
    *columns.LOOKS_TO_TRAIN,
    *modules.LOOKS_TO_TRAIN,
    *sources.LOOKS_TO_TRAIN,
    *destinations.LOOKS_TO_TRAIN,
)
_TO_INFER: tuple[Rule, ...] = (*modules.LOOKS_TO_INFER, *destinations.LOOKS_TO_INFER)
_DOUBTS: tuple[Rule, ...] = (*columns.DOUBTS, *serving.DOUBTS, *beam.DOUBTS)


def check(
    path: Path,
    settings: Sequence[str] = (),
    root: Path | None = None,
    look: bool = True,
    base: Path | None = None,
) -> tuple[AnyFile, Source, list[Diagnostic]]:
    """Reads a pipeline file and checks it in one pass, with everything on this machine that it refers to.

    That is: data files and their first records, schema and baseline, vocabularies, hub modules, sources of backbones,
    of a loss and of a warm start, and the destination of models or predictions. Remote paths are not checked.

    Args:
        path: The pipeline file; `-` for standard input.
        settings: Values to change, as `KEY=VALUE`.
        root: As in `Paths.of`.
        look: Whether to check more than the file itself.
        base: Folder that relative paths start at, as in `read`.

    Returns:
        The file, its text, and warnings.

    Raises:
        PipelineFileError: with all errors, each at its line. A section with errors is checked as far as the rest of it
            tells.
        UserError: if there is no readable file, or a setting is malformed.
    """
    reading = read(path, settings, base)
    asked = _asked(reading)
    found = [*reading.diagnostics]
    if look:
        found += [reading.source.diagnostic(*error) for error in _errors(reading.task, asked)]
        found += _root_faults(reading, root)
    if found or reading.file is None:
        raise PipelineFileError(found)
    doubts = errors_of(_DOUBTS, asked) if look else ()
    return reading.file, reading.source, [reading.source.diagnostic(*doubt) for doubt in doubts]


def _asked(reading: Reading) -> dict[str, Any]:
    """What looks ask for by name: the sections as far as they are valid, names of features with and without errors, and
    a sample of the data, which looks share."""
    asked = {**reading.parts, **reading.sections}
    if "features" in asked:
        written = reading.source.values.get("features")  # absent if a pushed model is asked
        asked["feature_names"] = frozenset(map(str, written if isinstance(written, Mapping) else ()))
    if "data" in asked:
        asked["sample"] = Sample(asked["data"])
    return asked


def _errors(task: str, asked: Mapping[str, Any]) -> Iterator[PlacedError]:
    looks = (*_LOOKS, *(_TO_INFER if task == "infer" else _TO_TRAIN))
    yield from errors_of(looks, asked)


def _root_faults(reading: Reading, root: Path | None) -> Iterator[Diagnostic]:
    if "name" not in reading.sections:
        return
    beside = Path(reading.source.folder, reading.source.path.name)
    place = str(Paths.of(beside, reading.sections["name"], root).root)
    if fault := path_fault(place, holds_models=True):
        yield reading.source.diagnostic((), f"{place}: {fault}, such as one that --root names")
