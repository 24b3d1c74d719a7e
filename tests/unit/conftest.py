"""Fixtures for several files of unit tests; each imports what it needs when a test uses it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hubline.pipeline.kubeflow.api import Client
    from tests.support.kfp_api import KfpApi
    from tests.support.kubernetes_api import KubernetesApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator["KfpApi"]:
    """A Kubeflow Pipelines server. All calls and responses must obey the API's contract."""
    from tests.support.kfp_api import KfpApi

    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", os.devnull + "/none")
    with KfpApi().serving() as api:
        yield api
        assert api.violations == []
        assert api.most_enabled <= 1, "two schedules of one pipeline were on at once"


@pytest.fixture
def client(api: "KfpApi") -> "Client":
    """kfp's client, connected to that server."""
    from hubline.pipeline.kubeflow.api import connect
    from tests.support.kfp_client import address

    return connect(address(api))


@pytest.fixture
def in_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disables the slow path of ingestion, which reads a file in Python."""
    from hubline.components.example_gen import ingest

    monkeypatch.setattr(ingest, "ingest_exactly", None)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with six images in each of two folders, `cat` and `dog`."""
    from tests.support.files_to_convert import write_photos

    return write_photos(tmp_path / "photos")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["KubernetesApi"]:
    """A Kubernetes API server with KServe; KUBECONFIG refers to it."""
    from hubline.components.kserve import roll_out
    from tests.support.kubernetes_api import KubernetesApi

    monkeypatch.setattr(roll_out, "PAUSE_SECONDS", 0.001)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    api = KubernetesApi()
    with api.serving(tmp_path) as path:
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield api


@pytest.fixture
def state(tmp_path: Path) -> str:
    """Where a roll-out stores its state."""
    return f"{tmp_path}/state.json"


@pytest.fixture(params=["disk", "store"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A serving folder on a disk, and in an object store."""
    if request.param == "disk":
        yield f"{tmp_path}/serving"
        return
    from tests.support import object_store

    with object_store.served() as port:
        object_store.mount()
        yield f"store://{port}/serving"
