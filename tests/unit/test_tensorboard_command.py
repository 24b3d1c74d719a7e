"""Which logs `hubline tensorboard` opens."""

import socket
from datetime import datetime
from pathlib import Path

import pytest

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.pipeline.tensorboard import Logs, started
from tests.support.pipeline_files import GOOD, write

SECONDS = 1_700_000_000
TIME = f"{datetime.fromtimestamp(SECONDS):%Y%m%d-%H%M%S}"


def write_events(folder: str, content: bytes = b"events", seconds: int = SECONDS) -> None:
    storage.write_bytes(f"{folder}/tensorboard/events.out.tfevents.{seconds}.host.1.0.v2", content)
    storage.write_bytes(f"{folder}/tensorboard/train/events.out.tfevents.{seconds + 5}.host.1.0.v2", content)


def seen(folder: Path) -> dict[str, bytes]:
    """Content of the files that TensorBoard finds, by run."""
    return {
        str(path.parent.relative_to(folder)): path.read_bytes()
        for run in folder.iterdir()
        for path in run.rglob("events.*")
    }


def test_every_run_on_this_machine_has_its_time_and_id(tmp_path: Path) -> None:
    root, folder = tmp_path / "[root]", tmp_path / "folder"
    folder.mkdir()
    logs = Logs(str(root), "tiny", str(folder))
    assert logs.update() == []
    write_events(f"{root}/artifacts/Trainer/model_run/12")
    # Artifacts of an earlier metadata database, whose execution ids were the same.
    write_events(f"{root}/artifacts-20230101-000000-000001/Trainer/model_run/12", seconds=SECONDS - 100)
    (root / "artifacts/Trainer/model_run/14/tensorboard").mkdir(parents=True)  # no logs yet
    earlier = f"{datetime.fromtimestamp(SECONDS - 100):%Y%m%d-%H%M%S}"
    assert logs.update() == [f"{earlier}-12", f"{TIME}-12"]
    write_events(f"{root}/artifacts/Trainer/model_run/14")
    assert logs.update() == [f"{earlier}-12", f"{TIME}-12", f"{TIME}-14"]
    assert seen(folder).keys() == {
        f"{name}{part}" for name in (f"{earlier}-12", f"{TIME}-12", f"{TIME}-14") for part in ("", "/train")
    }


def test_runs_of_kubeflow_in_a_store_are_copied_and_kept_up_to_date(tmp_path: Path) -> None:
    root = f"memory://{tmp_path.name}"
    logs = Logs(root, "tiny", str(tmp_path))
    one = f"{root}/tiny/run-one/trainer/0b5c/model_run"
    write_events(one)
    write_events(f"{root}/other/run-two/trainer/1d2e/model_run")  # of another pipeline
    assert logs.update() == [f"{TIME}-run-one"]
    assert seen(tmp_path) == {f"{TIME}-run-one{part}": b"events" for part in ("", "/train")}
    write_events(one, b"more events")
    assert logs.update() == [f"{TIME}-run-one"]
    assert seen(tmp_path) == {f"{TIME}-run-one{part}": b"more events" for part in ("", "/train")}


def test_a_file_that_was_never_trained_has_nothing_to_open(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with (
        pytest.raises(UserError, match=r"\.hubline/tiny: no training logs of .* create some with `hubline run "),
        started(path, None, "localhost", 0),
    ):
        pytest.fail("TensorBoard was started")


@pytest.mark.slow
def test_tensorboard_says_why_it_does_not_start(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    write_events(f"{tmp_path}/.hubline/tiny/artifacts/Trainer/model_run/3")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(UserError, match=f"TensorBoard did not start: .*port {port}"),
            started(path, None, "127.0.0.1", port),
        ):
            pytest.fail("TensorBoard was started")
