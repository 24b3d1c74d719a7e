"""URLs and unusual paths in a pipeline file."""

import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hubline.components.config.data import Data, PatternSplit
from hubline.components.pin.find import find
from hubline.core import storage
from hubline.core.config_base import normalized
from hubline.core.errors import UserError
from hubline.pipeline.file_paths import key_of
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.snapshot import pin

FILE = """\
name: tiny
data: {examples: 's3://data//span-{SPAN}/*.gz/'}
features: {image: {kind: image, size: [8, 8]}}
label: {from: label, kind: class, classes: [dark, light]}
hubs: {mean: {handle: 's3://modules/mean/', inputs: {images: image}}}
training: {epochs: 1}
serving: {destination: 's3://serving//tiny//'}
kubeflow: {state: 's3://state/tiny/'}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.yaml").write_text(FILE)
    return tmp_path / "pipeline.yaml"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://bucket/a/", "s3://bucket/a"),
        ("s3://bucket//a///b//", "s3://bucket/a/b"),
        ("gs://bucket/", "gs://bucket"),
        ("memory:///a/b", "memory://a/b"),
        ("s3://bucket/**/x", "s3://bucket/**/x"),
        ("https://host//a/?b=//", "https://host//a/?b=//"),
    ],
)
def test_slashes_are_normalized(url: str, expected: str) -> None:
    assert normalized(url) == expected == normalized(expected)


def test_urls_are_normalized_when_the_file_is_loaded(path: Path) -> None:
    file, _ = load(path)
    assert file.data.patterns == {"all": "s3://data/span-{SPAN}/*.gz"}
    assert file.hubs["mean"].handle == "s3://modules/mean"
    assert file.serving.destination == "s3://serving/tiny"
    assert file.kubeflow.state == "s3://state/tiny"
    split = PatternSplit(train="train/*", validation="s3://other//v/*/", test="s3://other/t/*")
    data = Data(examples="s3://data", split=split)
    assert data.patterns["train"] == "s3://data/train/*" and data.patterns["validation"] == "s3://other/v/*"


def test_the_key_of_a_url_is_found(path: Path) -> None:
    file, _ = load(path)
    assert key_of(file, "s3://data/span-[0-9]*/*.gz") == "data.examples"
    assert key_of(file, "s3://modules/mean/saved_model.pb") == "hubs.mean.handle"
    assert key_of(file, "s3://serving/tiny/1") == "serving.destination"
    assert key_of(file, "s3://elsewhere/x") is None


def test_missing_credentials_name_the_key_and_what_to_set(
    path: Path, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    with pytest.raises(UserError, match=r"^data\.examples: s3://data/.*: no access to the store: .*AWS_ACCESS_KEY_ID"):
        pin(load(path)[0])


def test_a_server_that_does_not_listen_is_explained(path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match=r"^data\.examples: s3://data/.*: the store cannot be reached") as unreachable:
        pin(load(path)[0])
    assert storage.is_transient(unreachable.value)


@pytest.mark.parametrize(
    ("status", "is_transient"), [(503, True), (500, True), (429, True), (403, False), (404, False)]
)
def test_a_busy_server_is_tried_again_and_one_that_refuses_is_not(status: int, is_transient: bool) -> None:
    answer = ClientError({"Error": {"Code": "x"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")
    translated = OSError(5, "as s3fs raises it")
    translated.__cause__ = answer
    assert storage.is_transient(answer) == storage.is_transient(translated) == is_transient


@pytest.mark.parametrize("name", ["plain", "data[1]", "a*b", "what?", "[a-z]"])
def test_names_with_the_characters_of_patterns_are_taken_literally(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "x[0].tfrecord").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x0.tfrecord").touch()
    for pattern in (folder, folder / "*.tfrecord", folder / "x[0].tfrecord"):
        assert list(find({"all": str(pattern)})["all"]) == [str(folder / "x[0].tfrecord")]


def test_a_root_in_a_store_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match=r"--root s3:/bucket/runs: must be a folder on this machine"):
        Paths.of(path, "tiny", Path("s3://bucket/runs"))


@pytest.mark.slow
def test_help_and_check_of_local_paths_import_no_store(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom hubline.pipeline.cli import app\n"
        "CliRunner().invoke(app, ['--help']); CliRunner().invoke(app, ['check', sys.argv[1]])\n"
        "print(sorted({'fsspec', 's3fs', 'gcsfs', 'adlfs', 'aiohttp', 'tensorflow'} & sys.modules.keys()))"
    )
    (tmp_path / "pipeline.yaml").write_text(FILE.replace("s3://", "/somewhere/"))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipeline.yaml")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
