"""Concurrent pushes: several processes, killed ones, and signals."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hubline.core import interruption, storage
from hubline.core.digest import tree_digest
from hubline.core.errors import RunError, UserError
from hubline.core.interruption import Interrupted
from hubline.serving import lease
from hubline.serving.owner import Owner
from hubline.serving.push import copy_once, push
from hubline.serving.versions import newest_version, next_version, version_number, versions
from tests.support import object_store as make_object_store

ROUNDS, PROCESSES = 100, 3
FILES = ("assets/words.txt", "saved_model.pb", "variables/variables.data")
ELSEWHERE = Owner(process=7, where="4026531836-another-host")


def model_of(folder: Path, owner: str) -> str:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(owner * 5000)
    return str(folder)


def race(number: int, model: str, destination: str, barrier, results) -> None:
    """What a process does in each round."""
    if destination.startswith("store://"):
        make_object_store.mount()
        lease.LONGEST_PAUSE_SECONDS = 0.1
    for turn in range(ROUNDS):
        barrier.wait()
        compared = newest_version(destination)
        barrier.wait()

        def unmoved(compared: str | None = compared) -> None:
            if newest_version(destination) != compared:
                raise RunError("moved")

        try:
            pushed = push(model, destination, check=unmoved)
        except RunError:
            pushed = None
        results.put(("replacing", turn, number, pushed))
    for turn in range(ROUNDS // 10):
        barrier.wait()
        results.put(("adding", turn, number, push(model, f"{destination}-of-all")))
    for turn in range(ROUNDS // 4):
        barrier.wait()
        copy_once(f"{Path(model).parent}/0", f"{destination}-kserve/{turn}/1")
        results.put(("copying", turn, number, tree_digest(f"{destination}-kserve/{turn}/1")))


@pytest.mark.slow
def test_of_processes_that_push_at_once_one_wins_and_none_sees_half(destination: str, tmp_path: Path) -> None:
    models = [model_of(tmp_path / str(number), str(number)) for number in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=race, args=(number, model, destination, barrier, results))
        for number, model in enumerate(models)
    ]
    for process in processes:
        process.start()
    told = [results.get(timeout=300) for _ in range(PROCESSES * (ROUNDS + ROUNDS // 10 + ROUNDS // 4))]
    for process in processes:
        process.join()
        assert process.exitcode == 0

    digests = [tree_digest(model) for model in models]
    for turn in range(ROUNDS):
        ((winner, version),) = [
            (number, pushed) for what, at, number, pushed in told if (what, at) == ("replacing", turn) and pushed
        ]
        assert version == f"{destination}/{turn + 1}"
        assert tree_digest(version) == digests[winner]
    assert versions(destination) == [str(turn + 1) for turn in range(ROUNDS)]
    added = [(number, pushed) for what, _, number, pushed in told if what == "adding"]
    assert len({pushed for _, pushed in added}) == len(added)
    assert all(tree_digest(pushed) == digests[number] for number, pushed in added)
    assert {seen for what, _, _, seen in told if what == "copying"} == {digests[0]}
    for folder in (destination, f"{destination}-of-all", f"{destination}-kserve/0"):
        left = [name for name in storage.names(folder) if version_number(name) is None]
        assert left == [], "claims or unfinished folders"


@pytest.mark.parametrize(
    ("name", "number"),
    [("7", 7), ("007", 7), ("0", 0), (str(2**63 - 1), 2**63 - 1), (str(2**63), None), ("9" * 200, None)]
    + [(name, None) for name in ("٣", "²", "1.0", "-1", "+1", "1 ", "v1", "")],
)
def test_versions_are_those_of_tensorflow_serving(name: str, number: int | None) -> None:
    assert version_number(name) == number


def test_after_the_greatest_version_no_other_can_come(tmp_path: Path) -> None:
    (tmp_path / "٣").mkdir()
    assert next_version(str(tmp_path)) == f"{tmp_path}/1"
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(UserError, match=r"9223372036854775807: this is the greatest version"):
        next_version(f"{tmp_path}/")


def test_a_slash_at_the_end_changes_no_path(tmp_path: Path) -> None:
    model = model_of(tmp_path / "model", "x")
    assert push(model, f"{tmp_path}/serving/") == f"{tmp_path}/serving/1" == newest_version(f"{tmp_path}/serving/")


def ended() -> Owner:
    """A process on this machine that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Owner.me().model_copy(update={"process": process.pid})


@pytest.mark.parametrize(
    ("owner", "age", "stays"),
    [
        (ended, 0, False),
        (Owner.me, 0, True),
        (lambda: ELSEWHERE, 3600, True),
        (lambda: ELSEWHERE, 25 * 3600, False),
    ],
)
def test_unfinished_folders_go_when_nobody_alive_can_be_filling_them(
    tmp_path: Path, owner: Callable[[], Owner], age: float, stays: bool
) -> None:
    left = tmp_path / "serving" / f".incoming-0123abcd-{owner()}"
    model_of(left, "half")
    for path in (left, *left.rglob("*")):
        os.utime(path, (time.time() - age, time.time() - age))
    push(model_of(tmp_path / "model", "x"), str(tmp_path / "serving"))
    assert left.exists() == stays


def claim(destination: str, owner: Owner) -> str:
    """The claim of a push that was killed while it wrote version 1."""
    path = f"{destination}/{lease.CLAIMS}/0123abcd"
    storage.write_bytes(path, lease.Claim(owner=owner, version=f"{destination}/1").to_property().encode())
    storage.write_bytes(f"{destination}/1/variables/half", b"")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["store"], indirect=True)
@pytest.mark.parametrize(("owner", "seconds"), [(ended, 600), (lambda: ELSEWHERE, 0.2)])
def test_a_killed_push_into_a_store_is_cleared_away(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Callable[[], Owner], seconds: float
) -> None:
    claim(destination, owner())
    time.sleep(2 * min(seconds, 1))
    monkeypatch.setattr(lease, "SECONDS", seconds)
    monkeypatch.setattr(lease.Lease, "is_ours", True)
    model = model_of(tmp_path / "model", "x")
    version = push(model, destination)
    assert version == f"{destination}/1" and tree_digest(version) == tree_digest(model)
    assert storage.names(destination) == ["1"]


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["store"], indirect=True)
def test_a_push_that_was_held_up_pushes_nothing_and_the_next_one_clears_up(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, copy = model_of(tmp_path / "model", "x"), storage.copy_new
    with monkeypatch.context() as held_up:
        held_up.setattr(lease, "SECONDS", 0.2)
        held_up.setattr(lease, "keep_renewing", lambda *_: None)
        held_up.setattr(storage, "copy_new", lambda *arguments: (time.sleep(0.2), copy(*arguments)))
        with pytest.raises(RunError, match="interrupted for too long; nothing was pushed"):
            push(model, destination)
        assert newest_version(destination) is None
        held_up.setattr(storage, "copy_new", copy)
        held_up.setattr(lease.Lease, "is_ours", True)
        assert push(model, destination) == f"{destination}/1"
    assert tree_digest(f"{destination}/1") == tree_digest(model)


@pytest.mark.slow
@pytest.mark.parametrize("destination", ["store"], indirect=True)
def test_a_push_waits_for_a_live_one_elsewhere(destination: str, tmp_path: Path) -> None:
    path = claim(destination, ELSEWHERE)
    pushed: list[str] = []
    model = model_of(tmp_path / "model", "x")
    waiting = threading.Thread(target=lambda: pushed.append(push(model, destination)))
    waiting.start()
    time.sleep(1)
    assert not pushed and not versions(destination)
    storage.remove(path)
    waiting.join(timeout=60)
    assert pushed == [f"{destination}/2"], "nobody but its owner removes version 1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_nothing_is_pushed(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """It arrives while the model's files are being copied."""
    killed = []

    def interrupting(copy: Callable[[str, str], bool | None]) -> Callable[[str, str], bool | None]:
        def interrupted(source: str, target: str) -> bool | None:
            copied = copy(source, target)
            if not killed:
                killed.append(os.kill(os.getpid(), number))
            return copied

        return interrupted

    for name in ("copy", "copy_new"):
        monkeypatch.setattr(storage, name, interrupting(getattr(storage, name)))
    model = model_of(tmp_path / "model", "x")
    with interruption.handled():
        with pytest.raises(Interrupted, match=number.name):
            push(model, destination)
        with pytest.raises(Interrupted):
            push(model, destination)
        with pytest.raises(Interrupted):
            copy_once(model, f"{destination}/kserve/1")
    assert storage.files_below(destination) == []
    assert push(model, destination) == f"{destination}/1"


def test_a_copy_that_was_cut_short_is_made_whole(destination: str, tmp_path: Path) -> None:
    model = model_of(tmp_path / "model", "x")
    storage.write_bytes(f"{destination}/1/variables/variables.data", b"half")
    copy_once(model, f"{destination}/1")
    assert tree_digest(f"{destination}/1") == tree_digest(model)


@pytest.mark.slow
def test_a_version_in_a_store_is_never_overwritten(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even by a process that believes it holds the lease, and that the number is free."""
    first, second = model_of(tmp_path / "first", "1"), model_of(tmp_path / "second", "2")
    version = push(first, f"{s3}/serving")
    assert tree_digest(version) == tree_digest(first)
    monkeypatch.setattr("hubline.serving.push.next_version", lambda destination: f"{destination}/1")
    with pytest.raises(RunError, match=r"/serving/1/assets/words.txt: another push has written this"):
        push(second, f"{s3}/serving")
    assert tree_digest(version) == tree_digest(first)
    assert storage.names(f"{s3}/serving") == ["1"]
    monkeypatch.setattr("hubline.serving.push.next_version", lambda destination: f"{destination}/7")
    storage.write_bytes(f"{s3}/serving/7/model_card.json", b"another's")
    with pytest.raises(RunError, match=r"/serving/7/model_card.json: another push has written this"):
        push(second, f"{s3}/serving", beside={"model_card.json": b"ours"})
    assert storage.read_bytes(f"{s3}/serving/7/model_card.json") == b"another's"
    assert storage.files_below(f"{s3}/serving/7") == ["model_card.json"]
