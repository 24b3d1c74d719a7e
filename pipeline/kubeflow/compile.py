"""`hubline compile`: from a pipeline file to a package that Kubeflow Pipelines takes."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from components import storage
from pipeline.config import AnyFile, InferFile
from pipeline.kubeflow.config import STEPS
from pipeline.kubeflow.tasks import task_name
from pipeline.load import Source
from pipeline.mistakes import Location, Mistake, PipelineFileError
from preprocessing.config import vocabulary_files
from preprocessing.errors import UserError
from preprocessing.section import is_remote
from trainer.backbones.config import NO_BACKBONES, Backbones

_DOWNLOADED = ("s3://", "minio://")
"""What KFP's launcher moves artifacts to and from, and no step reads by itself but the module that it fetches."""

_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def compile_file(file: AnyFile, source: Source, image: str | None, allow_tag: bool, output: Path) -> dict[str, Any]:
    """Writes the package.

    Args:
        file: The pipeline file.
        source: Its text.
        image: The image of every step, in place of that in the file.
        allow_tag: Whether it may be named by a tag.
        output: The file to write.

    Returns:
        The pipeline spec.

    Raises:
        PipelineFileError: with all that cannot work on a cluster.
        UserError: where the image will not do, or Kubeflow Pipelines would refuse the package.
    """
    image = _checked(image or file.kubeflow.image, allow_tag)
    if mistakes := list(_mistakes(file, source)):
        raise PipelineFileError(mistakes)
    # Imported here: it brings TFX, and mistakes are found without.
    from pipeline.kubeflow.check import check
    from pipeline.kubeflow.package import package

    spec, platform = package(file, image)
    check(spec, platform)
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.representer.ignore_aliases = lambda _: True  # what is the same twice is written twice, to be read
    text = io.StringIO()
    yaml.dump_all([spec, platform] if platform else [spec], text)
    storage.write_text(str(output), text.getvalue())
    return spec


def _checked(image: str | None, allow_tag: bool) -> str:
    if image is None:
        raise UserError(
            "no image: `make image` builds one; name it by its digest, in the file (kubeflow: {image: NAME@sha256:…}) "
            "or with --image"
        )
    if not allow_tag and not _BY_DIGEST.fullmatch(image):
        raise UserError(
            f"{image}: not by its digest, NAME@sha256:…: when a tag moves, steps of the old image are still taken from "
            "the backend's cache, and pods of one run can have different code; --allow-tag takes it nevertheless"
        )
    return image


def _mistakes(file: AnyFile, source: Source) -> Iterator[Mistake]:
    mounts = [mount for step in STEPS for mount in [_mounts(file, step)]]
    everywhere = set.intersection(*map(set, mounts))
    if file.kubeflow.state is None:
        yield source.mistake(
            ("kubeflow", "state"),
            "missing: a folder for checkpoints, shards and vectors that live on from run to run, in a bucket on gs:// "
            "or on a volume that every step mounts, such as /mnt/state",
        )
    for section, names in {"hubs": list(file.hubs), "backbones": list(_backbones(file))}.items():
        yield from _alike(section, names, source)
    root = file.kubeflow.pipeline_root
    if not file.beam.in_step and not (root and root.startswith("gs://")):
        yield source.mistake(
            ("beam", "runner"),
            f"workers of {file.beam.runner} are not in the step's pod, and see what is on gs:// alone; set "
            "kubeflow.pipeline_root to a folder there"
            + (f", in place of {root}" if root else "")
            + ", or use DirectRunner",
        )
    for location, path in _paths(file):
        if path.startswith(_DOWNLOADED) and location[0] != "hubs":
            yield source.mistake(
                location,
                f"{path}: TensorFlow reads gs:// and folders; mount the bucket as a volume, and name its folder",
            )
        if is_remote(path) or any(_is_below(path, mount) for mount in everywhere):
            continue
        where = f"the volumes that every step mounts: {', '.join(sorted(everywhere))}" if everywhere else "no volume"
        yield source.mistake(
            location,
            f"{path}: on this machine, and not on the cluster; name a bucket, or mount a volume in kubeflow.every_step "
            f"(now: {where})",
        )


def _backbones(file: AnyFile) -> Backbones:
    return NO_BACKBONES if isinstance(file, InferFile) else file.backbones


def _alike(section: str, names: Iterable[str], source: Source) -> Iterator[Mistake]:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(task_name(name), name)
        if first != name:
            yield source.mistake(
                (section, name),
                f"on a cluster '{first}' and '{name}' are one name, {task_name(name)}; call one otherwise",
            )


def _mounts(file: AnyFile, step: str) -> list[str]:
    return [volume.path for volume in file.kubeflow.placement(step).volumes]


def _is_below(path: str, mount: str) -> bool:
    return PurePosixPath(path).is_relative_to(mount)


def _paths(file: AnyFile) -> Iterator[tuple[Location, str]]:
    """All that a file points at, and where."""
    yield ("data", "examples"), file.data.examples
    for name, hub in file.hubs.items():
        yield ("hubs", name, "handle"), hub.handle
    for name, vocabulary in vocabulary_files(file.features).items():
        yield ("features", name, "vocabulary", "file"), vocabulary.file
    if file.kubeflow.state:
        yield ("kubeflow", "state"), file.kubeflow.state
    optional: Mapping[Location, str | None]
    if isinstance(file, InferFile):
        yield ("predictions", "destination"), file.predictions.destination
        optional = {
            ("predictions", "labels"): file.predictions.labels,
            ("model", "from"): file.model.folder if file.model else None,
        }
    else:
        yield ("serving", "destination"), file.serving.destination
        if file.serving.kserve:
            yield ("serving", "kserve", "models"), file.serving.kserve.models
        for name, backbone in file.backbones.items():
            if backbone.weights_file:
                yield ("backbones", name, "weights"), backbone.weights_file
        optional = {("data", "schema"): file.data.data_schema, ("data", "baseline"): file.data.baseline}
    yield from ((location, path) for location, path in optional.items() if path)
