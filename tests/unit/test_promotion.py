"""`hubline models`: which version serves, what comes back, and what is removed; on a disk and in an object store."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.errors import RunError, UserError
from hubline.pipeline.cli import app
from hubline.pipeline.models import summaries
from hubline.serving import promotion, retention
from hubline.serving.history import FOLDER, Event, History, record
from hubline.serving.promotion import Change, pin, promote, rollback
from hubline.serving.push import push
from hubline.serving.retention import Pruned, prune, to_prune
from hubline.serving.versions import path_of, version_numbers


def pushed(destination: str, folder: Path, *contents: str) -> None:
    """Pushes models as the Pusher does."""
    for content in contents:
        model = folder / f"model-{content}"
        (model / "variables").mkdir(parents=True, exist_ok=True)
        (model / "saved_model.pb").write_text(content)
        (model / "variables" / "variables.index").write_text("same")
        path = push(str(model), destination)
        number = int(path.rpartition("/")[2])
        record(destination, "pushed", number, tree_digest(path), metrics={"accuracy": number / 10})


def content(destination: str, version: int) -> str:
    return storage.read_bytes(f"{path_of(destination, version)}/saved_model.pb").decode()


def test_a_rollback_copies_the_version_before_and_remembers_what_served(destination: str, tmp_path: Path) -> None:
    pushed(destination, tmp_path, "a", "b")
    assert rollback(destination, "wrong labels") == Change(before=2, source=1, version=3)
    assert content(destination, 3) == "a" and version_numbers(destination) == [1, 2, 3]
    history = History.read(destination)
    withdrawn = history.withdrawal(tree_digest(path_of(destination, 2)))
    assert withdrawn is not None and (withdrawn.version, withdrawn.reason) == (2, "wrong labels")
    assert history.withdrawal(tree_digest(path_of(destination, 3))) is None


def test_a_second_rollback_goes_further_back_and_skips_what_was_rolled_back(destination: str, tmp_path: Path) -> None:
    pushed(destination, tmp_path, "a", "b", "c")
    assert rollback(destination, "c is bad") == Change(before=3, source=2, version=4)
    assert rollback(destination, "b too") == Change(before=4, source=1, version=5)
    assert content(destination, 5) == "a"
    with pytest.raises(UserError, match="there is no other model before version 5 to return to"):
        rollback(destination, "and a")
    assert content(destination, 5) == "a" and version_numbers(destination)[-1] == 5


def test_promotion_takes_a_rollback_back(destination: str, tmp_path: Path) -> None:
    pushed(destination, tmp_path, "a", "b")
    rollback(destination, "wrong labels")
    assert promote(destination, 2, "right after all") == Change(before=3, source=2, version=4)
    assert content(destination, 4) == "b"
    assert History.read(destination).withdrawal(tree_digest(path_of(destination, 4))) is None
    with pytest.raises(UserError, match="version 4 serves already"):
        promote(destination, 4, "again")


def test_mistakes_change_nothing(destination: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no version serves"):
        rollback(destination, "why")
    pushed(destination, tmp_path, "a", "b", "b2")
    for act in (
        lambda: promote(destination, 9, "why"),
        lambda: rollback(destination, "why", to=9),
        lambda: pin(destination, 9, is_pinned=True),
    ):
        with pytest.raises(UserError, match="there is no version 9, only 1, 2, 3"):
            act()
    with pytest.raises(UserError, match="version 3 is the same model as version 3, which serves"):
        rollback(destination, "why", to=3)
    assert version_numbers(destination) == [1, 2, 3]
    assert {event.kind for event in History.read(destination).events} == {"pushed"}


def test_a_version_that_was_pushed_meanwhile_is_not_replaced(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(destination, tmp_path, "a", "b")

    def late(model: str, folder: str, **arguments: Any) -> str:
        pushed(destination, tmp_path, "c")
        return push(model, folder, **arguments)

    monkeypatch.setattr(promotion, "push", late)
    with pytest.raises(RunError, match="version 3 was pushed meanwhile"):
        promote(destination, 1, "why")
    assert version_numbers(destination) == [1, 2, 3] and content(destination, 3) == "c"
    with pytest.raises(RunError, match=r"(?s)pushed meanwhile.*but the rollback of version 3 is recorded"):
        rollback(destination, "why")
    assert History.read(destination).withdrawal(tree_digest(path_of(destination, 3))) is not None


def test_what_serves_is_pinned_or_new_is_never_removed(destination: str, tmp_path: Path) -> None:
    pushed(destination, tmp_path, "a", "b", "c", "d", "e")
    pin(destination, 2, is_pinned=True, reason="audit")
    assert to_prune(destination, 2) == prune(destination, 2) == Pruned(versions=(1, 3), waiting=())
    assert version_numbers(destination) == [2, 4, 5] and prune(destination, 2) == Pruned((), ())
    pin(destination, 2, is_pinned=False)
    assert prune(destination, 1).versions == (2, 4)
    assert not any(storage.exists(f"{destination}/{number}/saved_model.pb") for number in (1, 2, 3, 4))
    pushed(destination, tmp_path, "f")
    assert version_numbers(destination) == [5, 6]


def test_of_two_that_prune_at_once_the_second_finds_what_the_first_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = f"{tmp_path}/serving"
    pushed(destination, tmp_path, "a", "b", "c", "d")
    old = retention.old_versions

    def late(folder: str, history: History, keep: int) -> list[int]:
        found = old(folder, history, keep)
        with monkeypatch.context() as undone:
            undone.setattr(retention, "old_versions", old)
            assert prune(folder, 3).versions == (1,)
        return found

    monkeypatch.setattr(retention, "old_versions", late)
    assert prune(destination, 2).versions == (2,)
    assert version_numbers(destination) == [3, 4]
    removed = [event.version for event in History.read(destination).events if event.kind == "removed"]
    assert removed == [1, 2]


def test_versions_that_were_rolled_back_do_not_count_among_the_newest(destination: str, tmp_path: Path) -> None:
    pushed(destination, tmp_path, "a", "b", "c")
    rollback(destination, "c is bad")  # 4 is a copy of 2
    assert to_prune(destination, 2).versions == (1, 3)


kinds = st.sampled_from(["pushed", "rolled_back", "promoted", "pinned", "unpinned"])
events = st.lists(st.tuples(kinds, st.sampled_from("xy")))


@given(events)
def test_the_last_word_on_a_model_counts(drawn: list[tuple[Any, str]]) -> None:
    history = History(tuple(Event(kind=kind, version=ord(of), digest=of, at="", by="") for kind, of in drawn))
    for of in "xy":
        words = [kind for kind, digest in drawn if digest == of and kind in ("rolled_back", "promoted")]
        assert (history.withdrawal(of) is not None) == (words[-1:] == ["rolled_back"])
        pins = [kind for kind, digest in drawn if digest == of and kind != "rolled_back"]  # a new version isn't pinned
        assert (ord(of) in history.pinned) == (pins[-1:] == ["pinned"])


def test_a_number_that_comes_again_is_another_version(tmp_path: Path) -> None:
    destination = f"{tmp_path}/serving"
    pushed(destination, tmp_path, "a", "b")
    pin(destination, 2, is_pinned=True)
    shutil.rmtree(f"{destination}/2")
    pushed(destination, tmp_path, "c")
    history, digest = History.read(destination), tree_digest(path_of(destination, 2))
    made = history.made(2)
    assert made is not None and made.digest == digest and not history.pinned
    assert [row["digest"] for row in summaries(destination)] == [tree_digest(path_of(destination, 1)), digest]
    rollback(destination, "c is bad")
    assert summaries(destination)[1]["states"] == ["rolled back"]


def test_events_that_are_written_at_once_are_all_kept(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(destination, tmp_path, "a")
    before = storage.names(f"{destination}/{FOLDER}")
    with monkeypatch.context() as at_once:
        at_once.setattr(storage, "names", lambda _: before)
        for number in (2, 3, 4):
            record(destination, "pushed", number, "digest")
    record(destination, "pushed", 5, "digest")
    versions = [event.version for event in History.read(destination).events]
    assert (versions[0], sorted(versions[1:-1]), versions[-1]) == (1, [2, 3, 4], 5)


def test_a_damaged_event_is_named(tmp_path: Path) -> None:
    destination = f"{tmp_path}/serving"
    pushed(destination, tmp_path, "a")
    Path(destination, ".hubline", "history", "00000001.json").write_text("{")
    with pytest.raises(UserError, match=r"history/00000001.json: no event of a serving folder.*a newer one may have"):
        History.read(destination)


def asked(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["models", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_commands(tmp_path: Path) -> None:
    folder = f"{tmp_path}/serving"
    pushed(folder, tmp_path, "a", "b")
    assert asked("rollback", folder, "--reason", "bad") == {
        "status": "succeeded",
        "before": 2,
        "source": 1,
        "version": 3,
    }
    rows = asked("list", folder)["versions"]
    assert [(row["version"], row["states"], row["metrics"]) for row in rows] == [
        (1, [], {"accuracy": 0.1}),
        (2, ["rolled back"], {"accuracy": 0.2}),
        (3, ["serves", "copy of 1"], {"accuracy": 0.1}),
    ]
    shown = asked("show", folder, "2")
    assert shown["digest"] == rows[1]["digest"] and shown["files"] == {
        "saved_model.pb": 1,
        "variables/variables.index": 4,
    }
    assert [event["kind"] for event in shown["events"]] == ["pushed", "rolled_back"]
    assert asked("diff", folder, "1", "2") == {
        "status": "succeeded",
        "metrics": {"accuracy": [0.1, 0.2]},
        "card": {},
        "files": {"saved_model.pb": "changed"},
    }
    assert asked("diff", folder, "1", "3")["files"] == {}
    assert asked("promote", folder, "2", "--reason", "good")["version"] == 4
    runner = CliRunner()
    assert asked("pin", folder, "1", "--reason", "audit") == {"status": "succeeded", "version": 1, "pinned": True}
    assert asked("prune", folder, "--keep", "1", "--dry-run") == {
        "status": "succeeded",
        "removed": [],
        "to_remove": [2, 3],
        "waiting": [],
    }
    assert asked("prune", folder, "--keep", "1")["removed"] == [2, 3]
    unpinned = runner.invoke(app, ["models", "unpin", folder, "1"])
    assert unpinned.exit_code == 0 and "version 1 is not pinned any more" in " ".join(unpinned.stdout.split())
    said = runner.invoke(app, ["models", "list", folder]).stdout
    assert "serves, copy of 2" in said and "accuracy 0.2" in said
    assert "removed: 1" in runner.invoke(app, ["models", "prune", folder, "--keep", "1"]).stdout
    with pytest.raises(UserError, match="servng: there is no such folder"):
        runner.invoke(app, ["models", "list", f"{tmp_path}/servng"], catch_exceptions=False)
    with pytest.raises(UserError, match="--reason: must say why"):
        runner.invoke(app, ["models", "promote", folder, "4", "--reason", " "], catch_exceptions=False)
