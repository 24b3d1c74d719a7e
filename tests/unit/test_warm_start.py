"""Initial values from checkpoints of all formats, and everything that can be wrong with them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.components.trainer.warm_start_source import find_checkpoint, pin_warm_start
from hubline.core.errors import UserError
from hubline.trainer.checkpoint_reader import open_checkpoint
from hubline.trainer.config.warm_start import WarmStart
from hubline.trainer.meanings import Meanings
from hubline.trainer.variable_names import ATTRIBUTE, named_variables
from hubline.trainer.warm_start import check_source, warm_start

UNKNOWN = Meanings()


def small_model() -> tf.keras.Model:
    """An embedding-like layer and a head whose layers have names, as the Trainer builds them."""
    given = tf.keras.Input([3])
    vector = tf.keras.layers.Dense(4, name="embedded_word")(given)
    head = tf.keras.Sequential(
        [tf.keras.layers.Dense(5, name="hidden_0"), tf.keras.layers.Dense(2, name="outputs")], name="head"
    )
    return tf.keras.Model(given, head(vector))


NAMES = [
    f"{layer}/{part}" for layer in ("embedded_word", "head/hidden_0", "head/outputs") for part in ("kernel", "bias")
]


@pytest.fixture
def variables() -> dict[str, tf.Variable]:
    return named_variables(small_model())


@pytest.fixture
def source(tmp_path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """A checkpoint of another model, and its values by name."""
    other = named_variables(small_model())
    for number, variable in enumerate(other.values()):
        variable.assign(np.random.default_rng(number).normal(size=variable.shape))
    prefix = tf.train.Checkpoint(**{ATTRIBUTE: other}).write(str(tmp_path / "checkpoint-7"))
    return prefix, {name: variable.numpy() for name, variable in other.items()}


def config(**settings: object) -> WarmStart:
    return WarmStart.model_validate({"from": "anywhere", **settings})


def values_of(variables: dict[str, tf.Variable]) -> dict[str, np.ndarray]:
    return {name: variable.numpy() for name, variable in variables.items()}


def fault(*arguments, **keywords) -> str:
    variables = arguments[2]
    before = values_of(variables)
    with pytest.raises(UserError) as error:
        warm_start(*arguments, **keywords)
    assert all(np.array_equal(before[name], value) for name, value in values_of(variables).items())
    return str(error.value)


def test_variables_have_the_same_names_in_every_run(variables) -> None:
    tf.keras.layers.Dense(1)  # moves Keras' own numbering
    assert list(variables) == list(named_variables(small_model())) == NAMES


def test_all_variables_take_the_values_of_the_same_names(variables, source) -> None:
    prefix, expected = source
    assert warm_start(config(), prefix, variables, UNKNOWN) == set(NAMES)
    np.testing.assert_equal(values_of(variables), expected)


def test_variables_that_are_left_out_keep_their_own_values(variables, source) -> None:
    prefix, expected = source
    before = values_of(variables)
    taken = warm_start(config(**{"except": ["outputs/", "^embedded.*bias$"]}), prefix, variables, UNKNOWN)
    kept = {"head/outputs/kernel", "head/outputs/bias", "embedded_word/bias"}
    assert taken == set(NAMES) - kept
    np.testing.assert_equal(values_of(variables), expected | {name: before[name] for name in kept})


def tf1_checkpoint(folder: Path, write_version: int) -> tuple[str, dict[str, np.ndarray]]:
    """A checkpoint of a TF1 session, in the first or second format."""
    shapes = {"net/word/weights": (3, 4), "net/word/biases": (4,), "logits/weights": (5, 2), "logits/biases": (2,)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {name: tf.compat.v1.get_variable(name, shape) for name, shape in shapes.items()}
        tf.compat.v1.get_variable("global_step", initializer=np.int64(9))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=write_version)
        prefix = saver.save(session, str(folder / "model.ckpt"), global_step=9)
        return prefix, session.run(made)


@pytest.mark.parametrize("version", [1, 2])
def test_a_checkpoint_of_tf1_gives_its_values_by_name_and_by_scope(variables, tmp_path: Path, version: int) -> None:
    prefix, given = tf1_checkpoint(tmp_path, version)
    before = values_of(variables)
    names = {
        "net/word/weights": "embedded_word/kernel",
        "net/word/biases": "embedded_word/bias",
        "logits/weights": "head/outputs/kernel",
        "logits/biases": "head/outputs/bias",
    }
    assert find_checkpoint(str(tmp_path)) == find_checkpoint(prefix) == prefix
    assert warm_start(config(names=names, **{"except": ["hidden_0"]}), prefix, variables, UNKNOWN) == set(
        names.values()
    )
    expected = before | {new: given[old] for old, new in names.items()}
    np.testing.assert_equal(values_of(variables), expected)


def test_a_scope_stands_for_all_names_in_it(tmp_path: Path) -> None:
    _, given = tf1_checkpoint(tmp_path, 2)
    variables = {f"hub_words/{name}": tf.Variable(tf.zeros_like(value)) for name, value in given.items()}
    prefix = find_checkpoint(str(tmp_path))
    assert len(warm_start(config(names={"/": "hub_words/"}), prefix, variables, UNKNOWN)) == 4
    np.testing.assert_equal(values_of(variables), {f"hub_words/{name}": value for name, value in given.items()})
    some = {f"a/{name.removeprefix('net/')}": tf.Variable(given[name] * 0) for name in given if name.startswith("net/")}
    warm_start(config(names={"net/": "a/"}), prefix, some, UNKNOWN)
    np.testing.assert_equal(some["a/word/weights"].numpy(), given["net/word/weights"])


def test_everything_that_does_not_fit_is_said_at_once(variables, source, tmp_path: Path) -> None:
    prefix, _ = source
    variables["head/outputs/kernel"] = tf.Variable(tf.zeros([5, 3]))
    variables["head/outputs/bias"] = tf.Variable(tf.zeros([2], tf.float64))
    variables["head/hidden_1/kernel"] = tf.Variable(tf.zeros([5, 5]))
    names = {"head/hiden_0/bias": "head/hidden_0/bias", "embedded_word/bias": "embeded_word/bias"}
    said = fault(config(names=names, **{"except": ["kernl"]}), prefix, variables, UNKNOWN)
    assert said.split("\n  ")[1:] == [
        "names: the source has no variable 'head/hiden_0/bias'; did you mean 'head/hidden_0/bias'?",
        "names: the model has no variable 'embeded_word/bias'; did you mean 'embedded_word/bias'?",
        "except: no variable has 'kernl' in its name; there are " + ", ".join(f"'{name}'" for name in variables),
        "there are no values for 'head/hidden_1/kernel'; map names of the source to them with `names`, or list them in "
        "`except`; the source has " + ", ".join(f"'{name}'" for name in sorted(NAMES)),
        "'head/outputs/kernel' is float32 (5, 3) in the model, and float32 (5, 2) in the source; "
        "list it in `except` to begin it anew",
        "'head/outputs/bias' is float64 (2,) in the model, and float32 (2,) in the source; "
        "list it in `except` to begin it anew",
    ]
    both = {"head/hidden_0/bias": "head/outputs/bias", "embedded_word/bias": "head/outputs/bias"}
    said = fault(config(names=both), prefix, variables, UNKNOWN)
    assert "names: both 'head/hidden_0/bias' and 'embedded_word/bias' are mapped to 'head/outputs/bias'" in said
    assert "`except` leaves out all variables" in fault(config(**{"except": ["."]}), prefix, variables, UNKNOWN)
    with pytest.raises(ValueError, match="end both 'a/' and 'b' in / or neither"):
        config(names={"a/": "b"})


def test_a_source_without_the_names_of_the_file_is_refused_before_the_run(source) -> None:
    prefix, _ = source
    check_source(config(names={"head/": "other/", "embedded_word/bias": "anything"}), prefix)
    with pytest.raises(UserError) as error:
        check_source(config(names={"heads/": "other/", "embedded_word/bia": "anything"}), prefix)
    assert "the source has no variable 'heads/'" in str(error.value)
    assert "no variable 'embedded_word/bia'; did you mean 'embedded_word/bias'?" in str(error.value)


def test_values_that_stored_vectors_depend_on_do_not_change(variables, source) -> None:
    prefix, expected = source
    in_vectors = ["embedded_word/kernel", "embedded_word/bias"]
    said = fault(config(), prefix, variables, UNKNOWN, in_vectors=in_vectors)
    assert (
        "'embedded_word/kernel', 'embedded_word/bias': the values in the source differ from those of the module" in said
    )
    for name in in_vectors:
        variables[name].assign(expected[name])
    assert len(warm_start(config(), prefix, variables, UNKNOWN, in_vectors=in_vectors)) == len(NAMES)


MEANINGS = Meanings(words={"word": "a", "colour": "b"}, inputs=("photos", "colour"), classes="c")


@pytest.mark.parametrize(
    ("other", "affected", "reason"),
    [
        ({"words": {"word": "z", "colour": "b"}}, ["embedded_word/kernel", "embedded_word/bias"], "'word' is another"),
        ({"words": {"word": "a", "colour": "z"}}, ["head/hidden_0/kernel"], "vocabulary of 'colour' is another"),
        ({"inputs": ("colour", "photos")}, ["head/hidden_0/kernel"], "reads photos, colour, and that of the source"),
        ({"classes": "z"}, ["head/outputs/kernel", "head/outputs/bias"], "other classes, or the same in another order"),
    ],
)
def test_rows_of_other_words_inputs_and_classes_are_not_taken(variables, source, other, affected, reason) -> None:
    prefix, _ = source
    MEANINGS.model_copy(update=other).write(str(Path(prefix).with_name("meanings.json")))
    said = fault(config(), prefix, variables, MEANINGS)
    assert reason in said and f"so {', '.join(map(repr, affected))} can't be taken" in said
    assert warm_start(config(**{"except": affected}), prefix, variables, MEANINGS) == set(NAMES) - set(affected)


def test_a_source_is_found_by_what_users_know_it_by(tmp_path: Path, source) -> None:
    prefix, _ = source
    module = tf.Module()
    module.v = tf.Variable([1.0, 2.0], name="v")
    serving = tmp_path / "serving"
    assert pin_warm_start(WarmStart.model_validate({"from": "serving"}), str(serving)) is None
    for version in ("9", "10"):
        tf.saved_model.save(module, str(serving / version))
    tf.saved_model.save(module, str(tmp_path / "Trainer/model/4/Format-Serving"))
    report = tmp_path / "run/report/report.json"
    report.parent.mkdir(parents=True)
    report.write_text('{"artifacts": {"model": "%s"}}' % (tmp_path / "Trainer/model/4"))
    listed = tmp_path / "listed"
    for step in (1, 2):
        tf.train.CheckpointManager(tf.train.Checkpoint(v=module.v), str(listed), 2).save(step)
    copied = shutil.copytree(listed, tmp_path / "copied")
    newest = f"{serving}/10/variables/variables"
    trained = f"{tmp_path}/Trainer/model/4/Format-Serving/variables/variables"
    for path, expected in {
        prefix: prefix,
        f"{prefix}.index": prefix,
        str(serving): newest,
        f"{serving}/9": f"{serving}/9/variables/variables",
        f"{tmp_path}/Trainer/model/4": trained,
        f"{tmp_path}/run/": trained,
        str(listed): f"{listed}/ckpt-2",
        str(copied): f"{copied}/ckpt-2",
    }.items():
        assert find_checkpoint(path) == expected
    pinned = pin_warm_start(WarmStart.model_validate({"from": "serving"}), str(serving))
    assert pinned is not None and pinned.path == newest
    data = Path(f"{newest}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    again = pin_warm_start(WarmStart.model_validate({"from": "serving"}), str(serving))
    assert again is not None and again.digest != pinned.digest
    with pytest.raises(UserError, match="nothing: there is no checkpoint; name a checkpoint without its suffix"):
        find_checkpoint(str(tmp_path / "nothing"))


@pytest.mark.parametrize("folder", ["plain", "with [brackets]"])
def test_names_of_foreign_checkpoints_are_those_of_their_variables(tmp_path: Path, folder: str) -> None:
    one, two = tf.Variable([1.0], name="same"), tf.Variable([2.0], name="same")
    other = tf.Variable([3], name="scope/other")
    root = tf.train.Checkpoint(one=one, parts=[two, other])
    prefix = root.write(str(tmp_path / folder / "ckpt"))
    with open_checkpoint(prefix) as reader:
        assert sorted(reader.specs) == ["one", "parts/0", "scope/other"]
        assert reader.values("parts/0") == [2.0] and reader.specs["scope/other"].dtype == tf.int32


def test_a_damaged_checkpoint_is_refused(variables, source) -> None:
    prefix, _ = source
    data = Path(f"{prefix}.data-00000-of-00001")
    content = bytearray(data.read_bytes())
    content[10] ^= 0xFF
    data.write_bytes(bytes(content))
    assert "can't be read" in fault(config(), prefix, variables, UNKNOWN)
    Path(f"{prefix}.index").write_bytes(b"none")
    assert "the checkpoint can't be read" in fault(config(), prefix, variables, UNKNOWN)
