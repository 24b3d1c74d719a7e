"""Uploads packages to Kubeflow Pipelines: one pipeline version per distinct content."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.api import Client, answered, named, pages
from hubline.pipeline.kubeflow.api_config import Api
from hubline.pipeline.kubeflow.compile import compile_file
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.load import Source


@dataclass(frozen=True)
class Package:
    """A compiled pipeline file."""

    path: Path
    spec: dict[str, Any]
    """The pipeline spec."""
    version: str
    """Name of the pipeline version; contains a digest of the content."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Version:
    """IDs of a pipeline version."""

    pipeline_id: str
    version_id: str


def pack(file: AnyFile, source: Source, image: str | None, allow_tag: bool, folder: Path) -> Package:
    """Compiles a pipeline file; arguments and errors as for `compile_file`."""
    # Schedule and destination are left out of the package, so that changing them doesn't create a new version.
    left = {"api": _told_in_alerts(file.kubeflow), "schedule": None, "experiment": None, "service_account": None}
    kubeflow = file.kubeflow.model_copy(update=left)
    path = folder / f"{file.name}.yaml"
    compiled = compile_file(file.model_copy(update={"kubeflow": kubeflow}), source, image, allow_tag, path)
    version = f"{file.name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    return Package(path, compiled.spec, version, compiled.warnings)


def _told_in_alerts(kubeflow: Kubeflow) -> Api:
    """The part of the API settings that notifications need."""
    return Api(ui_host=kubeflow.api.ui_host or kubeflow.api.host) if kubeflow.alert else Api()


def find(client: Client, name: str, version: str) -> tuple[str | None, str | None]:
    """IDs of a pipeline and of its version, if they exist."""
    with answered(client.address, "looking for the pipeline"):
        pipelines = partial(client.list_pipelines, namespace=client.namespace, filter=named(name))
        pipeline_id = next((each.pipeline_id for each in pages(pipelines, "pipelines")), None)
        if pipeline_id is None:
            return None, None
        versions = partial(client.list_pipeline_versions, pipeline_id=pipeline_id, filter=named(version))
        found = next((each.pipeline_version_id for each in pages(versions, "pipeline_versions")), None)
        return pipeline_id, found


def publish(client: Client, name: str, package: Package) -> Version:
    """Uploads a package, unless it has been uploaded before."""
    pipeline_id, version_id = find(client, name, package.version)
    with answered(client.address, "uploading the package"):
        if pipeline_id is None:
            # The first version always gets the pipeline's name.
            uploaded = client.upload_pipeline(str(package.path), name, namespace=client.namespace)
            pipeline_id = uploaded.pipeline_id
        if version_id is None:
            made = client.upload_pipeline_version(str(package.path), package.version, pipeline_id=pipeline_id)
            version_id = made.pipeline_version_id
    assert pipeline_id and version_id
    return Version(pipeline_id, version_id)


def experiment_id(client: Client, name: str) -> str:
    """ID of an experiment, which is created if it doesn't exist."""
    with answered(client.address, "looking for the experiment"):
        return client.create_experiment(name, namespace=client.namespace).experiment_id
