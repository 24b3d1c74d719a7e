"""`hubline compile`: compiles a pipeline file to a package for Kubeflow Pipelines."""

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubline.core import storage
from hubline.core.config_errors import PlacedError
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile, InferFile
from hubline.pipeline.diagnostics import Diagnostic, PipelineFileError
from hubline.pipeline.kubeflow.config import JOINABLE
from hubline.pipeline.kubeflow.escaping import yaml
from hubline.pipeline.kubeflow.reach import unreachable
from hubline.pipeline.kubeflow.tasks import task_name
from hubline.pipeline.load import Source
from hubline.pipeline.rules.beam import a_run_that_ends_cancels_its_job, remote_address, unreachable_by_workers
from hubline.trainer.backbones.config import NO_BACKBONES, Backbones

if TYPE_CHECKING:
    from hubline.pipeline.kubeflow.workflow_size import WorkflowSize

_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class CompiledPackage:
    """A compiled package."""

    spec: dict[str, Any]
    """The pipeline spec."""
    size: "WorkflowSize"
    """Estimated size of a run's workflow."""
    warnings: tuple[str, ...]


def compile_file(file: AnyFile, source: Source, image: str | None, allow_tag: bool, output: Path) -> CompiledPackage:
    """Compiles a pipeline file and writes the package.

    Args:
        file: The pipeline file.
        source: The file's text, for error messages.
        image: Image of every step; overrides the file's.
        allow_tag: Whether the image may be referred to by tag.
        output: The file to write.

    Raises:
        PipelineFileError: lists everything that cannot work on a cluster.
        UserError: if the image is missing or has no digest, or Kubeflow Pipelines would reject the package.
    """
    image = _checked(image or file.kubeflow.image, allow_tag)
    if diagnostics := list(_mistakes(file, source)):
        raise PipelineFileError(diagnostics)
    # Imported here because it imports TFX, which is not needed to find errors.
    from hubline.pipeline.kubeflow.check import check
    from hubline.pipeline.kubeflow.pipeline_spec import package, pods
    from hubline.pipeline.kubeflow.workflow_size import workflow_size

    spec, platform = package(file, image)
    check(spec, platform)
    text = io.StringIO()
    yaml().dump_all([spec, platform] if platform else [spec], text)
    storage.write_text(str(output), text.getvalue())
    size, alert = workflow_size(spec, platform), file.kubeflow.alert
    joined = {step for steps in pods(file).values() for step in steps}
    warnings = [
        alert.warning if alert else None,
        size.warning([step for step in JOINABLE if step not in joined]),
        *(str(source.diagnostic(*doubt)) for doubt in a_run_that_ends_cancels_its_job(file.beam)),
    ]
    return CompiledPackage(spec, size, tuple(filter(None, warnings)))


def _checked(image: str | None, allow_tag: bool) -> str:
    if image is None:
        raise UserError(
            "no image: build one with `make image`, and set its digest in the file (kubeflow: {image: NAME@sha256:…}) "
            "or with --image"
        )
    if not allow_tag and not _BY_DIGEST.fullmatch(image):
        raise UserError(
            f"{image}: not a digest, NAME@sha256:…. When a tag moves, the backend still reuses cached steps of the old "
            "image, and pods of one run can have different code. --allow-tag accepts the tag"
        )
    return image


def _mistakes(file: AnyFile, source: Source) -> Iterator[Diagnostic]:
    if file.kubeflow.state is None:
        yield source.diagnostic(
            ("kubeflow", "state"),
            "missing: a folder for checkpoints, shards and vectors that live on from run to run, in a bucket "
            "or on a volume that every step mounts, such as /mnt/state",
        )
    for section, names in {"hubs": list(file.hubs), "backbones": list(_backbones(file))}.items():
        yield from _alike(section, names, source)
    for location, fault in (*_engine_faults(file), *unreachable(file), *_without_gpus(file)):
        yield source.diagnostic(location, fault)


def _engine_faults(file: AnyFile) -> Iterator[PlacedError]:
    """Why the engine of `beam` cannot work for pods of a cluster."""
    beam, root, state = file.beam, file.kubeflow.pipeline_root, file.kubeflow.state
    if beam.runner == "DirectRunner":
        return
    if beam.environment == "LOOPBACK":
        yield ("beam", "environment"), "LOOPBACK is for one machine; on a cluster, use EXTERNAL or DOCKER"
    if beam.address and remote_address(beam) is None:
        key = "job_endpoint" if beam.job_endpoint else "options"
        yield ("beam", key), f"{beam.address}: nothing listens there in a step's pod; name the engine's service"
    if not (root and root.startswith("gs://")):
        yield (
            ("beam", "runner"),
            f"workers of {beam.runner} are not in the step's pod, and see what is on gs:// alone; set "
            "kubeflow.pipeline_root to a folder there"
            + (f", in place of {root}" if root else "")
            + ", or use DirectRunner",
        )
    if state and (fault := unreachable_by_workers(beam, state)):
        yield ("kubeflow", "state"), fault


def _without_gpus(file: AnyFile) -> Iterator[PlacedError]:
    """GPUs of the training that the Trainer's pod doesn't have."""
    if isinstance(file, InferFile):
        return
    devices, gpus = file.training.devices, file.kubeflow.placement("Trainer").gpus
    if devices.least_gpus > gpus:
        yield (
            ("training", "devices", str(devices.gpu_key)),
            f"the Trainer's pod has {gpus or 'no'} GPU{'s' * (gpus > 1)}; set kubeflow.steps: {{Trainer: {{gpus: "
            f"{devices.least_gpus}}}}}",
        )


def _backbones(file: AnyFile) -> Backbones:
    return NO_BACKBONES if isinstance(file, InferFile) else file.backbones


def _alike(section: str, names: Iterable[str], source: Source) -> Iterator[Diagnostic]:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(task_name(name), name)
        if first != name:
            yield source.diagnostic(
                (section, name),
                f"on a cluster '{first}' and '{name}' are one name, {task_name(name)}; call one otherwise",
            )
