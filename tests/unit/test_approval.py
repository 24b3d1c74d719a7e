"""Models that wait for `hubline models approve`, on a disk and in an object store."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from typer.testing import CliRunner

from hubline.artifacts.decision import Check, Decision
from hubline.artifacts.pins import ServedVersion
from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.errors import RunError, UserError
from hubline.pipeline.cli import app
from hubline.serving import approval, lease
from hubline.serving.approval import approve, command
from hubline.serving.history import History, record
from hubline.serving.model_card import HTML, ModelCard, model_digest
from hubline.serving.promotion import rollback
from hubline.serving.push import push
from hubline.serving.retention import prune
from hubline.serving.versions import newest_version, path_of, version_numbers
from hubline.serving.waiting import FOLDER, Candidate, find, folder_of, wait, waiting

REASON = "cross_entropy is 0.7, at most 0.5 is allowed"


def candidate(destination: str, folder: Path, content: str, blessed: bool = True, keep: int | None = None) -> Candidate:
    """Has a model wait as the Pusher does."""
    model = folder / f"model-{content}"
    (model / "variables").mkdir(parents=True, exist_ok=True)
    (model / "saved_model.pb").write_text(content)
    (model / "variables" / "variables.index").write_text("same")
    check = Check(
        slice="overall",
        metric="cross_entropy",
        rule="at_most",
        bound=0.5,
        value=0.7,
        serving=None,
        passed=blessed,
        reason=REASON,
    )
    decision = Decision(
        blessed=blessed,
        compared_with=None,
        metrics={"accuracy": 0.75, "auc": None},
        serving_metrics=None,
        slices=(),
        checks=(check,),
    )
    digest = tree_digest(str(model))
    card = ModelCard(
        pipeline="tiny", data={}, file={}, code="c0de", examples={}, decision=decision, versions={}, digest=digest
    )
    serving = newest_version(destination)
    compared = ServedVersion(path=serving, digest=model_digest(serving)) if serving else None
    wait(str(model), destination, card, compared, keep)
    return find(destination, digest)


def files(folder: str) -> list[str]:
    return sorted(storage.files_below(folder))


def test_an_approved_model_serves_and_says_who_approved_it_and_why(destination: str, tmp_path: Path) -> None:
    first = candidate(destination, tmp_path, "a")
    assert version_numbers(destination) == [] and [each.digest for each in waiting(destination)] == [first.digest]
    done = approve(destination, first, "checked by hand", by="Ada")
    assert (done.before, done.version, done.digest) == (None, 1, first.digest)
    path = path_of(destination, 1)
    assert storage.read_bytes(f"{path}/saved_model.pb") == b"a" and model_digest(path) == first.digest
    card = ModelCard.read(path)
    assert card is not None and card.approval is not None
    assert (card.approval.by, card.approval.reason, card.approval.override) == ("Ada", "checked by hand", False)
    assert b"Approved by Ada on 20" in storage.read_bytes(f"{path}/{HTML}")
    (event,) = History.read(destination).events
    assert (event.kind, event.version, event.digest, event.by) == ("approved", 1, first.digest, "Ada")
    assert event.reason == "checked by hand" and event.metrics == {"accuracy": 0.75}
    assert waiting(destination) == [] and files(f"{destination}/{FOLDER}") == []
    assert not any("candidate" in name for name in files(path))

    second = candidate(destination, tmp_path, "b")
    assert approve(destination, second, "better").before == 1
    assert History.read(destination).of(2)[0].by.partition("@")[2] == os.uname().nodename
    assert rollback(destination, "worse after all").source == 1, "approved versions are versions like others"


def test_a_refused_model_needs_an_override(destination: str, tmp_path: Path) -> None:
    refused = candidate(destination, tmp_path, "a", blessed=False)
    with pytest.raises(UserError, match=f"(?s)the verdict refused this model; --override pushes it anyway.{REASON}"):
        approve(destination, refused, "please")
    assert version_numbers(destination) == [] and waiting(destination) == [refused]
    approve(destination, refused, "the threshold was a typo", override=True)
    (event,) = History.read(destination).events
    card = ModelCard.read(path_of(destination, 1))
    assert event.kind == "overridden" and card is not None and card.approval is not None and card.approval.override
    assert not card.decision.blessed and b"Approved against the verdict" in card.files[HTML]
    with pytest.raises(UserError, match="the model is blessed; leave out --override"):
        approve(destination, candidate(destination, tmp_path, "b"), "why", override=True)


def test_a_model_is_not_pushed_over_a_version_that_it_was_not_compared_with(
    destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (candidate(destination, tmp_path, content) for content in "ab")
    approve(destination, one, "first")
    with pytest.raises(RunError, match=r"/1 serves now, but the model was compared when no version served; nothing"):
        approve(destination, two, "second")
    two = candidate(destination, tmp_path, "b")  # the run again
    storage.write_bytes(f"{path_of(destination, 1)}/saved_model.pb", b"changed")
    with pytest.raises(RunError, match="its files have changed since the model was compared with it"):
        approve(destination, two, "second")

    three = candidate(destination, tmp_path, "c")

    def late(model: str, folder: str, **arguments: Any) -> str:
        push(str(tmp_path / "model-a"), folder)
        return push(model, folder, **arguments)

    monkeypatch.setattr(approval, "push", late)
    with pytest.raises(RunError, match=r"/2 serves now, but the model was compared with .*/1"):
        approve(destination, three, "third")
    assert version_numbers(destination) == [1, 2]
    assert storage.read_bytes(f"{path_of(destination, 2)}/saved_model.pb") == b"a"
    assert not storage.names(f"{destination}/3") and len(waiting(destination)) == 2


def test_of_two_approvals_at_once_one_wins(destination: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LONGEST_PAUSE_SECONDS", 0.05)
    for turn in range(5):
        both = [candidate(destination, tmp_path, f"{turn}-{name}") for name in "ab"]
        at_once = Barrier(2)

        def approved(model: Candidate, at_once: Barrier = at_once) -> int | None:
            at_once.wait()
            try:
                return approve(destination, model, "why").version
            except RunError as error:
                assert "the model was compared" in str(error)
                return None

        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(approved, both))
        assert sorted(done, key=str) == [turn + 1, None], "the other was compared with the version before"
        (winner,) = (model for model, version in zip(both, done, strict=True) if version)
        assert model_digest(path_of(destination, turn + 1)) == winner.digest
        prune(destination, 10)  # the other is outdated
    assert version_numbers(destination) == [1, 2, 3, 4, 5] and waiting(destination) == []


def test_a_waiting_model_that_was_changed_or_rolled_back_is_refused(destination: str, tmp_path: Path) -> None:
    changed = candidate(destination, tmp_path, "a")
    path = f"{folder_of(destination, changed.digest)}/model/saved_model.pb"
    storage.write_bytes(path, b"other")
    with pytest.raises(UserError, match="the files have changed since the model was evaluated"):
        approve(destination, changed, "why")
    candidate(destination, tmp_path, "a")  # a run lays the right files again
    approve(destination, changed, "why")
    approve(destination, candidate(destination, tmp_path, "b"), "why")
    rollback(destination, "bad")
    again = candidate(destination, tmp_path, "b")
    with pytest.raises(UserError, match=r"rolled back as version 2 on .*: bad; `hubline models promote`"):
        approve(destination, again, "why")
    assert version_numbers(destination) == [1, 2, 3]


def test_only_what_is_meant_is_approved(destination: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model waits"):
        find(destination, None)
    one, two = (candidate(destination, tmp_path, content) for content in "ab")
    with pytest.raises(UserError, match=f"several models wait; name one of {one.name}, {two.name}"):
        find(destination, None)
    with pytest.raises(UserError, match=f"no model zz waits, only {one.name}, {two.name}"):
        find(destination, "zz")
    assert find(destination, two.name.upper()) == two


def test_pruning_spares_the_newest_that_can_be_approved(destination: str, tmp_path: Path) -> None:
    outdated = candidate(destination, tmp_path, "a")
    push(str(tmp_path / "model-a"), destination)
    many = [candidate(destination, tmp_path, content) for content in "bcd"]
    gone = prune(destination, 2)
    assert gone.versions == () and set(gone.waiting) == {outdated.digest, many[0].digest}
    assert [each.digest for each in waiting(destination)] == [each.digest for each in many[1:]]
    assert not files(folder_of(destination, outdated.digest))
    approve(destination, candidate(destination, tmp_path, "d", keep=2), "why")
    assert waiting(destination) == [], "what was compared with version 1 can't be approved any more"


def test_what_a_killed_run_left_does_not_wait_and_is_removed_after_a_day(tmp_path: Path) -> None:
    destination = f"{tmp_path}/serving"
    left = Path(folder_of(destination, "ab" * 32), "model", "saved_model.pb")
    left.parent.mkdir(parents=True)
    left.write_text("half")
    assert waiting(destination) == [] and prune(destination, 2).waiting == () and left.exists()
    os.utime(left, (1e9, 1e9))
    prune(destination, 2)
    assert not left.parents[1].exists()


def test_a_damaged_candidate_is_named(tmp_path: Path) -> None:
    destination = f"{tmp_path}/serving"
    path = folder_of(destination, candidate(destination, tmp_path, "a").digest)
    Path(path, "candidate.json").write_text("{")
    with pytest.raises(UserError, match=f"{path}/candidate.json: no waiting model that this Hubline knows"):
        waiting(destination)


def invoked(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)


def test_the_commands(tmp_path: Path) -> None:
    folder = f"{tmp_path}/serving"
    one, two = candidate(folder, tmp_path, "a"), candidate(folder, tmp_path, "b", blessed=False)
    listed = json.loads(invoked("list", folder, "--json").stdout)
    assert listed["versions"] == []
    assert [(row["digest"], row["states"], row["compared_with"]) for row in listed["waiting"]] == [
        (one.digest, ["blessed"], None),
        (two.digest, ["refused"], None),
    ]
    said = invoked("list", folder).stdout
    assert "no versions yet" in said and "waits for approval" in said and f"{two.name}" in said
    shown = json.loads(invoked("show", folder, two.name, "--json").stdout)
    assert (shown["digest"], shown["card"]["decision"]["blessed"], shown["events"]) == (two.digest, False, [])
    assert shown["files"] == {"saved_model.pb": 1, "variables/variables.index": 4}
    assert f"{two.digest}/model_card.html" in invoked("show", folder, two.name).stdout.replace("\n", "")
    compared = json.loads(invoked("diff", folder, one.name, two.name, "--json").stdout)
    assert compared["files"] == {"saved_model.pb": "changed"} and compared["metrics"] == {"accuracy": [0.75, 0.75]}
    with pytest.raises(UserError, match=f"no version 7, only none; nor does such a model wait, only {one.name}"):
        invoked("show", folder, "7")
    with pytest.raises(UserError, match="--reason: must say why"):
        invoked("approve", folder, one.name, "--reason", "")
    assert command(folder, two.digest, override=True) == (
        f'hubline models approve {folder} {two.name} --override --reason "…"'
    )
    done = invoked("approve", folder, two.name, "--override", "--reason", "typo", "--by", "Ada", "--json")
    assert json.loads(done.stdout) == {"status": "succeeded", "before": None, "version": 1, "digest": two.digest}
    assert "approved against the verdict by Ada on" in " ".join(invoked("show", folder, "1").stdout.split())
    assert json.loads(invoked("list", folder, "--json").stdout)["waiting"][0]["states"] == ["blessed", "outdated"]
    pruned = json.loads(invoked("prune", folder, "--keep", "2", "--dry-run", "--json").stdout)
    assert (pruned["to_remove"], pruned["waiting"]) == ([], [one.digest])
    assert f"removed: {one.name} (waiting)" in invoked("prune", folder, "--keep", "2").stdout
    three = candidate(folder, tmp_path, "c")
    assert "version 2" in invoked("approve", folder, "--reason", "fine").stdout
    assert History.read(folder).of(2)[0].digest == three.digest


def test_a_push_that_was_not_asked_for_changes_no_card(tmp_path: Path) -> None:
    destination = f"{tmp_path}/serving"
    model = candidate(destination, tmp_path, "a")
    card = ModelCard.read(folder_of(destination, model.digest))
    assert card is not None and card.approval is None and b"Approved" not in card.files[HTML]
    record(destination, "pushed", 1, model.digest)
    assert History.read(destination).events[0].by.partition("@")[2] == os.uname().nodename
