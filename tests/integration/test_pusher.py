"""The step Pusher: what it pushes, and what it refuses to push."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tfx.types import standard_artifacts

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.delivery import APPROVE, DESTINATION, PUSHED, WAITING
from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.components.dashboard.artifacts import Markdown
from hubline.components.pin.snapshot import pin_serving
from hubline.components.pusher.executor import Executor
from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.errors import RunError, UserError
from hubline.serving.approval import approve
from hubline.serving.history import History
from hubline.serving.model_card import CardOfFile, ModelCard
from hubline.serving.promotion import promote, rollback
from hubline.serving.versions import version_numbers
from hubline.serving.waiting import find, waiting


def exported(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name / "Format-Serving").mkdir(parents=True)
        (folder / name / "Format-Serving" / "saved_model.pb").write_text(name)


def run_pusher(
    folder: Path, model: str, blessed: bool, compared: ServedVersion | None = None, publish_to: str = "", **changes: Any
) -> tuple[int, str]:
    """Whether it pushed, and the serving version."""
    pushed = pushed_artifact(folder, model, blessed, compared, publish_to=publish_to, **changes)
    return pushed.get_int_custom_property(PUSHED), pushed.get_string_custom_property(DESTINATION)


def pushed_artifact(
    folder: Path,
    model: str,
    blessed: bool,
    compared: ServedVersion | None = None,
    checked: ServingCheckResult | None = None,
    **changes: Any,
) -> standard_artifacts.PushedModel:
    given, examples, blessing, pushed, outcome = (
        standard_artifacts.Model(),
        standard_artifacts.Examples(),
        standard_artifacts.ModelBlessing(),
        standard_artifacts.PushedModel(),
        Markdown(),
    )
    given.uri, outcome.uri = str(folder / model), str(folder / "outcome")
    examples.uri = str(folder / "examples")
    Manifest(shards=(), images=()).write(examples.uri)
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.uri = str(folder / "blessing")
    decision = Decision(
        blessed=blessed, compared_with=None, metrics={"accuracy": 0.9}, serving_metrics=None, slices=(), checks=()
    )
    storage.write_text(f"{blessing.uri}/{DECISION}", decision.model_dump_json())
    properties = {
        "destination": str(folder / "serving"),
        "publish_to": "",
        "push": 1,
        "approval": "none",
        "keep": 0,
        "must_be_blessed": 0,
        "serving": compared.to_property() if compared else "",
        "card": CardOfFile(pipeline="tiny", data={"all": "data"}, file={"name": "tiny"}, code="c0de").to_property(),
        **changes,
    }
    inputs = {"model": [given], "examples": [examples], "blessing": [blessing]}
    if checked:
        check = standard_artifacts.InfraBlessing()
        check.uri = str(folder / "check")
        checked.write(check.uri)
        inputs["serving_check"] = [check]
    Executor().Do(inputs, {"pushed_model": [pushed], "outcome": [outcome]}, properties)
    return pushed


def test_a_model_that_fails_the_serving_check_is_not_pushed_without_an_override(tmp_path: Path) -> None:
    exported(tmp_path, "one")
    serving, fault = tmp_path / "serving", "the server ended with exit code 137"
    failed = ServingCheckResult(passed=False, faults=(fault,), records=3, tolerance=0.001)
    assert run_pusher(tmp_path, "one", blessed=True, checked=failed) == (0, "")
    with pytest.raises(RunError, match=f"^the model is not blessed, and nothing was pushed\n{fault}$"):
        run_pusher(tmp_path, "one", blessed=True, checked=failed, must_be_blessed=1)
    assert not serving.exists()

    run_pusher(tmp_path, "one", blessed=True, checked=failed, approval="required")
    candidate = find(str(serving), None)
    with pytest.raises(UserError, match=f"the verdict refused this model; --override pushes it anyway\n{fault}$"):
        approve(str(serving), candidate, "it is fast enough")
    approve(str(serving), candidate, "it is fast enough", override=True)
    card = ModelCard.read(str(serving / "1"))
    assert card is not None and card.serving_check == failed and not card.blessed and card.decision.blessed

    passed = failed.model_copy(update={"passed": True, "faults": ()})
    exported(tmp_path, "two")
    compared = pin_serving(str(serving))
    assert run_pusher(tmp_path, "two", blessed=False, compared=compared, checked=passed) == (0, f"{serving}/1")
    assert run_pusher(tmp_path, "two", blessed=True, compared=compared, checked=passed) == (1, f"{serving}/2")


@pytest.mark.both_stacks
def test_what_is_blessed_is_pushed_once(tmp_path: Path) -> None:
    exported(tmp_path, "one", "two")
    serving = tmp_path / "serving"
    outcome = tmp_path / "outcome"
    assert run_pusher(tmp_path, "one", blessed=False) == (0, "")
    assert outcome.read_text() == f"**Nothing was pushed.**\n\nNo version serves in `{serving}`.\n"
    assert run_pusher(tmp_path, "one", blessed=True) == (1, f"{serving}/1")
    now = f"Version 1 serves: `{serving}/1`\n"
    assert outcome.read_text() == f"**Pushed** as version 1: `{serving}/1`\n\n{now}"
    assert run_pusher(tmp_path, "one", blessed=True) == (0, f"{serving}/1")
    assert outcome.read_text() == f"**Nothing was pushed.**\n\n{now}"
    first = pin_serving(str(serving))
    assert run_pusher(tmp_path, "two", blessed=False, compared=first) == (0, f"{serving}/1")
    assert run_pusher(tmp_path, "two", blessed=True, compared=first) == (1, f"{serving}/2")
    assert sorted(path.name for path in serving.iterdir()) == [".hubline", "1", "2"]
    card = ModelCard.read(f"{serving}/2")
    assert card is not None and card.pipeline == "tiny" and card.decision.metrics == {"accuracy": 0.9}
    assert (
        card.digest == History.read(str(serving)).of(2)[0].digest == tree_digest(str(tmp_path / "two/Format-Serving"))
    )
    events = History.read(str(serving)).events
    assert [(event.kind, event.version, event.metrics) for event in events] == [
        ("pushed", number, {"accuracy": 0.9}) for number in (1, 2)
    ]


def test_a_push_that_was_killed_before_its_record_is_recorded_by_the_next_run(tmp_path: Path) -> None:
    exported(tmp_path, "one")
    assert run_pusher(tmp_path, "one", blessed=True) == (1, f"{tmp_path}/serving/1")
    (event,) = History.read(str(tmp_path / "serving")).events
    shutil.rmtree(tmp_path / "serving/.hubline")
    for _ in range(2):
        assert run_pusher(tmp_path, "one", blessed=True) == (0, f"{tmp_path}/serving/1")
        (again,) = History.read(str(tmp_path / "serving")).events
        assert again.model_copy(update={"at": event.at}) == event


def test_a_model_that_was_rolled_back_is_not_pushed_again(tmp_path: Path) -> None:
    exported(tmp_path, "one", "two", "three")
    serving = tmp_path / "serving"
    run_pusher(tmp_path, "one", blessed=True)
    run_pusher(tmp_path, "two", blessed=True, compared=pin_serving(str(serving)))
    rollback(str(serving), "wrong labels")
    compared = pin_serving(str(serving))
    modules = tmp_path / "modules"
    assert run_pusher(tmp_path, "two", blessed=True, compared=compared, publish_to=str(modules)) == (0, f"{serving}/3")
    assert not modules.exists(), "the hub module of a model that was rolled back is not published"
    said = (tmp_path / "outcome").read_text().replace("\\", "")
    assert "the same one was rolled back as version 2 on" in said and ": wrong labels" in said
    assert run_pusher(tmp_path, "three", blessed=True, compared=compared) == (1, f"{serving}/4")
    promote(str(serving), 2, "the labels were right")
    compared = pin_serving(str(serving))
    assert run_pusher(tmp_path, "two", blessed=True, compared=compared) == (0, f"{serving}/5"), "it serves already"


def test_no_version_is_replaced_that_the_model_was_not_compared_with(tmp_path: Path) -> None:
    exported(tmp_path, "one", "two", "three")
    serving = tmp_path / "serving"
    run_pusher(tmp_path, "one", blessed=True)
    first = pin_serving(str(serving))
    run_pusher(tmp_path, "two", blessed=True, compared=first)
    for compared, before in ((first, f"with {serving}/1"), (None, "when no version served")):
        with pytest.raises(RunError) as refused:
            run_pusher(tmp_path, "three", blessed=True, compared=compared)
        assert str(refused.value).startswith(
            f"{serving}/2 serves now, but the model was compared {before}; nothing was"
        )
        assert "Run again" in str(refused.value)
    assert run_pusher(tmp_path, "two", blessed=True, compared=first) == (0, f"{serving}/2"), "it serves already"

    second = pin_serving(str(serving))
    (serving / "2" / "saved_model.pb").write_text("another one")
    with pytest.raises(RunError, match=r"serving/2: its files have changed since the model was compared with it"):
        run_pusher(tmp_path, "three", blessed=True, compared=second)
    shutil.rmtree(serving)
    with pytest.raises(RunError, match=r"^no version serves now, but the model was compared with .*/serving/2;"):
        run_pusher(tmp_path, "three", blessed=True, compared=second)
    assert not serving.exists()


def test_where_approval_is_required_models_wait_and_refused_ones_too(tmp_path: Path) -> None:
    exported(tmp_path, "one", "two", "three")
    serving, modules = str(tmp_path / "serving"), tmp_path / "modules"
    pushed = pushed_artifact(tmp_path, "one", blessed=True, approval="required", publish_to=str(modules))
    digest = tree_digest(str(tmp_path / "one/Format-Serving"))
    assert pushed.get_int_custom_property(PUSHED) == 0 and pushed.get_string_custom_property(DESTINATION) == ""
    assert pushed.get_string_custom_property(WAITING) == f"{serving}/.hubline/waiting/{digest}"
    command = f'hubline models approve {serving} {digest[:12]} --reason "…"'
    assert pushed.get_string_custom_property(APPROVE) == command
    outcome = (tmp_path / "outcome").read_text()
    assert outcome.startswith("**Nothing was pushed.**") and f"waits for approval: `{command}`" in outcome
    assert version_numbers(serving) == [] and not modules.exists()

    assert approve(serving, find(serving, None), "looks right").version == 1
    assert run_pusher(tmp_path, "one", blessed=True, approval="required") == (0, f"{serving}/1"), "it serves already"
    assert waiting(serving) == []

    compared = pin_serving(serving)
    with pytest.raises(RunError, match=r"(?s)not blessed.*To push it anyway: .* --override --reason") as refused:
        run_pusher(tmp_path, "two", blessed=False, compared=compared, approval="required", must_be_blessed=1)
    assert tree_digest(str(tmp_path / "two/Format-Serving"))[:12] in str(refused.value)
    run_pusher(tmp_path, "three", blessed=False, compared=compared, approval="required")
    assert [each.blessed for each in waiting(serving)] == [False, False] and version_numbers(serving) == [1]


def test_after_a_push_as_many_versions_stay_as_the_file_says(tmp_path: Path) -> None:
    serving = str(tmp_path / "serving")
    for number in range(1, 6):
        exported(tmp_path, str(number))
        assert run_pusher(tmp_path, str(number), True, pin_serving(serving), keep=3)[0] == 1
    assert version_numbers(serving) == [3, 4, 5]
    exported(tmp_path, "6")
    run_pusher(tmp_path, "6", True, pin_serving(serving), approval="required", keep=2)
    assert version_numbers(serving) == [4, 5] and len(waiting(serving)) == 1
    approve(serving, find(serving, None), "fine")
    assert version_numbers(serving) == [5, 6], "an approval removes old versions as a push does"
    run_pusher(tmp_path, "5", True, pin_serving(serving), keep=3)
    assert version_numbers(serving) == [5, 6, 7]
    run_pusher(tmp_path, "6", True, pin_serving(serving), keep=2, push=0)
    assert version_numbers(serving) == [5, 6, 7], "nothing is removed where nothing is pushed"
    assert run_pusher(tmp_path, "5", True, pin_serving(serving), keep=2) == (0, f"{serving}/7")
    assert version_numbers(serving) == [6, 7]


def test_an_approval_that_was_killed_before_its_record_is_recorded_by_the_next_run(tmp_path: Path) -> None:
    exported(tmp_path, "one")
    serving = str(tmp_path / "serving")
    run_pusher(tmp_path, "one", blessed=False, approval="required")
    approve(serving, find(serving, None), "a typo", by="Ada", override=True)
    (event,) = History.read(serving).events
    shutil.rmtree(f"{serving}/.hubline/history")
    run_pusher(tmp_path, "one", blessed=False, approval="required", compared=pin_serving(serving))
    (again,) = History.read(serving).events
    assert again.model_copy(update={"at": event.at}) == event and event.kind == "overridden" and event.by == "Ada"
