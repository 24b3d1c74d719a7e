"""`--set`: values of a pipeline file that the command line changes."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.settings import assign, location_of, read_settings
from tests.support.pipeline_files import GOOD, TABULAR, write
from tests.support.project import HUBLINE

KEYS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(tuple)


def test_a_file_with_settings_is_the_file_that_has_them(tmp_path: Path) -> None:
    changed = GOOD.replace("epochs: 2, ", "epochs: 7, batch_size: 8, ").replace("64, 48", "32, 32")
    changed += "model: {head: {hidden: [32, 16]}}\n"
    given = [
        "training.epochs=7",
        "training.batch_size=8",
        "features.photo.size=[32, 32]",
        "model.head={hidden: [32,16]}",
    ]
    file, _ = load(write(tmp_path, GOOD), given)
    assert file == load(write(tmp_path, changed))[0]


@pytest.mark.parametrize(
    ("setting", "key", "message"),
    [
        ("training.epochs=none", "training.epochs", "got 'none'"),
        ("training.epoch=3", "training.epoch", "did you mean 'epochs'?"),
        ("model.head={hiden: [3]}", "model.head.hiden", "did you mean 'hidden'?"),
        ("name.first=x", "name.first", "name is 'tiny', which has no keys"),
        ("label.classes=[01, 02]", "label.classes[0]", "quote it: '01'"),
    ],
)
def test_an_error_in_a_setting_names_the_option(tmp_path: Path, setting: str, key: str, message: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, GOOD), [setting])
    first = caught.value.diagnostics[0]
    assert (first.file, first.line, first.key) == ("--set", 0, key)
    assert message in first.message and str(first).startswith(f"--set: {key}: ")


def test_errors_in_the_file_keep_their_lines(tmp_path: Path) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, GOOD.replace("sgd", "sdg")), ["training.epochs=0"])
    assert [(each.file, each.line) for each in caught.value.diagnostics] == [
        ("--set", 0),
        (str(tmp_path / "pipeline.yaml"), 8),
    ]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["training.epochs"], "must be KEY=VALUE"),
        (["=3"], "must be KEY=VALUE"),
        (["training.epochs=3", "training.epochs=4"], "is set twice"),
        (["training={epochs: 3"], "is not YAML"),
    ],
)
def test_a_malformed_setting_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_settings(texts)


def test_a_setting_of_an_alias_leaves_the_other_key_alone(tmp_path: Path) -> None:
    text = TABULAR.replace("fare: {kind: numeric}", "fare: &number {kind: numeric}").replace("EXTRA", "*number")
    file, _ = load(write(tmp_path, text), ["features.extra.normalize=z_score"])
    assert file.features["fare"].normalize == "none" and file.features["extra"].normalize == "z_score"


@given(st.dictionaries(KEYS, st.integers(), max_size=3), KEYS, st.integers())
def test_what_is_assigned_is_found_and_nothing_else_changes(first: dict, key: tuple[str, ...], value: int) -> None:
    values: dict = {}
    for each, number in first.items():
        assign(values, each, number)
    before = json.loads(json.dumps(values))
    if assign(values, key, value) is None:
        found = values
        for step in key[:-1]:
            found = found[step]
        assert found.pop(key[-1]) == value
    else:
        assert values == before


def test_keys_of_tune_contain_dots() -> None:
    assert location_of("tune.training.epochs") == ("tune", "training.epochs")
    assert location_of("training.epochs") == ("training", "epochs")


def test_check_takes_settings(tmp_path: Path) -> None:
    command = [*HUBLINE, "check", str(write(tmp_path, GOOD)), "--no-files", "--json", "--set", "training.epochs=-1"]
    done = subprocess.run(command, capture_output=True, text=True)
    (mistake,) = json.loads(done.stdout.splitlines()[-1])["mistakes"]
    assert done.returncode == 2 and (mistake["file"], mistake["key"]) == ("--set", "training.epochs")
