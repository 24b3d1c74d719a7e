"""TF1 modules are trained to what a TF1 session trains them to, and export what its graph for inference answers."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.config import Feature, ImageFeature
from hubline.preprocessing.kinds.combiner import Lstm
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.hub_layer import HubLayer, try_out
from hubline.trainer.module_fit import check_fits
from hubline.trainer.rows import try_rows
from hubline.trainer.saved_model_loader import open_module
from hubline.trainer.tf1.module import open_to_train
from tests.support import tf1_trainable_modules as modules
from tests.support.tf1_trainable_modules import infer_in_session, train_in_session, v1

FEATURES: dict[str, Feature] = {"photo": ImageFeature(kind="image", size=(8, 8)), "note": TextFeature(kind="text")}
STEPS, RATE = 8, 0.1
PHOTOS = np.random.default_rng(0).integers(0, 256, [STEPS, 6, 8, 8, 3], np.uint8)
NOTES = ("this film was good", "a bad book", "what", "good good is")
TOKENS = np.array([note.split() + [""] * (4 - len(note.split())) for note in NOTES], object)
COUNTS = np.array([len(note.split()) for note in NOTES], np.int32)

IMAGES = Hub(handle="m", inputs={"images": "photo"})
SENTENCES = Hub(handle="m", inputs={"text": "note"})
TOKENS_HUB = Hub(handle="m", signature="tokens", inputs={"tokens": "note", "sequence_len": "note"})
MOVING = {f"net/{block}/BatchNorm/moving_{what}" for block in ("block3", "block4") for what in ("mean", "variance")}


def fed(hub: Hub, step: int) -> tuple[dict[str, tf.Tensor], dict[str, np.ndarray]]:
    """What the layer is fed by feature, and what the session is fed by input."""
    if "images" in hub.inputs:
        return {"photo": tf.constant(PHOTOS[step])}, {"images": PHOTOS[step].astype(np.float32) / np.float32(255)}
    if hub.signature == "tokens":
        return {"note": tf.constant(NOTES)}, {"tokens": TOKENS, "sequence_len": COUNTS}
    return {"note": tf.constant(NOTES)}, {next(iter(hub.inputs)): np.array(NOTES, object)}


def train_here(
    path: Path, hub: Hub, tuned: VariableSelection, kernel: np.ndarray, targets: np.ndarray
) -> tuple[list[float], dict[str, np.ndarray], HubLayer]:
    """Losses, variables and the layer after training as `train_in_session` does."""
    backbone = HubLayer(hub, open_to_train(str(path), tuned), FEATURES, "m", tuned)
    optimizer = tf.keras.optimizers.SGD(RATE)

    @tf.function
    def step(inputs: Mapping[str, tf.Tensor], wanted: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(backbone(inputs, training=True) @ kernel - wanted))
            loss += tf.add_n([0.0, *backbone.losses])
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    variables = backbone.trainable_variables
    optimizer.build(variables)
    losses = [float(step(fed(hub, number)[0], target)) for number, target in enumerate(targets)]
    return losses, {each.name.partition(":")[0]: each.numpy() for each in backbone.module.variables}, backbone


CASES: list[tuple[Callable, bool, Hub, str, dict]] = [
    (modules.images, False, IMAGES, "", {}),
    (modules.images, True, IMAGES, "block4", {}),
    (modules.images, False, IMAGES, "block4", {"training_mode": False}),
    (modules.sentences, False, SENTENCES, "", {}),
    (modules.sentences, True, SENTENCES, "", {}),
    (modules.elmo, False, TOKENS_HUB, "", {}),
    (modules.elmo, True, TOKENS_HUB, "RNN_0", {}),
    (modules.elmo, False, Hub(handle="m", inputs={"strings": "note"}), "words", {}),
]


@pytest.mark.slow
@pytest.mark.both_stacks
@pytest.mark.parametrize(("make", "references", "hub", "scope", "mode"), CASES)
def test_training_comes_to_what_a_session_comes_to(
    tmp_path: Path, make: Callable, references: bool, hub: Hub, scope: str, mode: dict
) -> None:
    folder = () if make is not modules.sentences else (tmp_path,)
    path = make(tmp_path / "m", *folder, references=references)
    rng = np.random.default_rng(1)
    size = {modules.images: 5, modules.sentences: 4, modules.elmo: 3}[make]
    kernel = rng.normal(size=[size, 2]).astype(np.float32)
    targets = rng.normal(size=[STEPS, 6 if make is modules.images else 4, 2]).astype(np.float32)
    batches = [(fed(hub, number)[1], target) for number, target in enumerate(targets)]
    before = {
        variable.name: variable.numpy() for variable in open_to_train(str(path), VariableSelection()).loaded.variables
    }
    there = train_in_session(
        path, batches, kernel, lambda name: scope in name, RATE, hub.signature or "default",
        tags=["train"] if mode.get("training_mode", True) else [],
    )  # fmt: skip
    tuned = VariableSelection(variables=(scope,) if scope else None, **mode)

    losses, variables, backbone = train_here(path, hub, tuned, kernel, targets)

    np.testing.assert_allclose(losses, there.losses, rtol=1e-5)
    assert variables.keys() == there.variables.keys()
    for name, value in variables.items():
        np.testing.assert_allclose(value, there.variables[name], atol=1e-6, err_msg=name)
    changed = {
        name.partition(":")[0] for name, value in before.items() if not np.array_equal(value, variables[name[:-2]])
    }
    moved = MOVING if make is modules.images and not mode else set()
    assert changed - moved == {name for name in variables if scope in name and name not in MOVING}
    assert moved <= changed
    answers = backbone(fed(hub, 0)[0], training=False)
    np.testing.assert_allclose(answers, there.answers, atol=1e-6)


@pytest.mark.slow
def test_words_are_pooled_without_those_that_pad_the_batch(tmp_path: Path) -> None:
    path = modules.elmo(tmp_path / "m")
    values = {each.name[:-2]: each.numpy() for each in open_to_train(str(path), VariableSelection()).loaded.variables}
    by_word = infer_in_session(path, values, {"tokens": TOKENS, "sequence_len": COUNTS}, "tokens", "elmo")
    rows = [row[:count] for row, count in zip(by_word, COUNTS, strict=True)]
    given = {}
    for pool in ("mean", "max", Lstm(lstm=2, max_length=3)):
        hub = TOKENS_HUB.model_copy(update={"output": "elmo", "pool": pool})
        opened = open_module(str(path))
        check_fits(opened.offer, hub, FEATURES)
        backbone = HubLayer(hub, opened, FEATURES, "m")
        given[str(pool)] = backbone({"note": tf.constant(NOTES)}).numpy()
        # A text alone and in a batch, also one without any word.
        assert try_rows(hub, opened, FEATURES).outputs == {"elmo": "row"}
    np.testing.assert_allclose(given["mean"], [row.mean(axis=0) for row in rows], atol=1e-6)
    np.testing.assert_allclose(given["max"], [row.max(axis=0) for row in rows], atol=1e-6)
    padded = [np.pad(row[:3], [(0, 3 - len(row[:3])), (0, 0)]).ravel() for row in rows]
    np.testing.assert_allclose(given[str(Lstm(lstm=2, max_length=3))], padded, atol=1e-6)


@pytest.mark.slow
def test_a_module_for_word_sequences_is_trained_through_a_sequence_layer(tmp_path: Path) -> None:
    path = modules.sentences(tmp_path / "m", tmp_path)
    hub = Hub(handle="m", signature="words", inputs={"words": "note"}, pool=Lstm(lstm=2, max_length=4))
    opened = open_to_train(str(path), VariableSelection())
    backbone = HubLayer(hub, opened, FEATURES, "m", VariableSelection())
    read = backbone.in_order("lstm", tf.identity)

    def gradients() -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(read(backbone({"note": tf.constant(NOTES)}, training=True)))
        return [tf.convert_to_tensor(each).numpy() for each in tape.gradient(loss, backbone.trainable_variables)]

    table = np.concatenate([each.numpy() for each in opened.loaded.variables])
    ids = [[modules.WORDS.index(word) if word in modules.WORDS else 8 for word in note.split()] for note in NOTES]
    # Of two partitions, TF1 looks up even numbers in the first, which has five rows.
    places = tf.ragged.constant([[number % 2 * 5 + number // 2 for number in row] for row in ids])
    by_hand = tf.Variable(table)
    with tf.GradientTape() as tape:
        vectors = tf.gather(by_hand, places).to_tensor(shape=[None, 4, 4])
        loss = tf.reduce_sum(read.layers[-1](vectors, mask=tf.sequence_mask(places.row_lengths(), 4)))
    expected = tf.convert_to_tensor(tape.gradient(loss, by_hand)).numpy()
    np.testing.assert_allclose(np.concatenate(gradients()), expected, atol=1e-6)


@tf.function
def given_with_gradient(backbone: HubLayer, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The output in training, which is linear in the only variable that is trained. By Euler's theorem, the gradient
    gives the output back if it sees the same random numbers."""
    (variable,) = backbone.trainable_variables
    with tf.GradientTape() as tape:
        given = backbone(inputs, training=True)
        loss = tf.reduce_sum(given)
    again = tf.reduce_sum(tape.gradient(loss, variable) * variable)
    tf.debugging.assert_near(again, loss, rtol=1e-4)
    return given


@pytest.mark.slow
@pytest.mark.parametrize("make", [modules.images, modules.elmo])
def test_dropout_follows_the_seed_and_gradients_see_the_same_draws(tmp_path: Path, make: Callable) -> None:
    path = make(tmp_path / "m", dropout=0.5)
    hub = IMAGES if make is modules.images else TOKENS_HUB
    scope = "logits" if make is modules.images else "scales"
    inputs, tuned = fed(hub, 0)[0], VariableSelection(variables=(scope,))
    runs = []
    for seed in (3, 3, 4):
        tf.keras.utils.set_random_seed(seed)
        backbone = HubLayer(hub, open_to_train(str(path), tuned), FEATURES, "m", tuned)
        outputs = [given_with_gradient(backbone, inputs) for _ in range(2)]
        assert not np.array_equal(*outputs)
        np.testing.assert_array_equal(backbone(inputs, training=False), backbone(inputs, training=False))
        runs.append(outputs)
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def depends_on_input(training: bool) -> modules.Signatures:
    given = v1.placeholder(tf.float32, [None, 8, 8, 3])
    vectors = tf.reduce_mean(given, [1, 2]) @ modules.variable("weights", [3, 2])
    modules.penalize(vectors)
    return {"default": ({"images": given}, {"default": vectors})}


def needs_another_input(training: bool) -> modules.Signatures:
    given, other = v1.placeholder(tf.float32, [None, 8, 8, 3]), v1.placeholder(tf.float32, [3], name="other")
    means = tf.reduce_mean(given, [1, 2])
    moving = modules.variable("moving", [3], trainable=False)
    update = v1.assign(moving, tf.reduce_mean(means, axis=0) + other)
    v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update.op)
    vectors = means @ modules.variable("weights", [3, 2])
    return {"default": ({"images": given}, {"default": vectors}), "other": ({"given": other}, {"default": other})}


def draws_in_a_loop(training: bool) -> modules.Signatures:
    given = v1.placeholder(tf.float32, [None, 8, 8, 3])
    vectors = tf.reduce_mean(given, [1, 2]) @ modules.variable("weights", [3, 2])
    _, drawn = tf.while_loop(
        lambda time, _: time < 3, lambda time, now: (time + 1, now * v1.random_uniform([2])), [0, vectors]
    )
    return {"default": ({"images": given}, {"default": drawn})}


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (depends_on_input, "its regularization losses depend on its inputs: Placeholder"),
        (needs_another_input, "its update operations need inputs that the signature 'default' doesn't have: other"),
        (draws_in_a_loop, "random numbers are drawn inside a loop: while/random_uniform/RandomUniform"),
    ],
)
def test_limits_are_refused(tmp_path: Path, build: Callable, says: str) -> None:
    path = modules.export(tmp_path / "m", build)
    try_out(IMAGES, open_to_train(str(path), None), FEATURES)  # it can be used frozen
    with pytest.raises(UserError, match=f"the module can't be trained: {says}"):
        try_out(IMAGES, open_to_train(str(path), VariableSelection()), FEATURES, VariableSelection())


@pytest.mark.slow
def test_updates_of_other_signatures_are_left_out(tmp_path: Path) -> None:
    def build(training: bool) -> modules.Signatures:
        signatures = {}
        for name in ("default", "other"):
            given = v1.placeholder(tf.float32, [None, 8, 8, 3])
            with v1.variable_scope(name):
                means, moving = tf.reduce_mean(given, [1, 2]), modules.variable("moving", [3], trainable=False)
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, v1.assign(moving, tf.reduce_mean(means, axis=0)).op)
                vectors = means @ modules.variable("weights", [3, 2])
            signatures[name] = ({"images": given}, {"default": vectors})
        return signatures

    path, tuned = modules.export(tmp_path / "m", build), VariableSelection(variables=("default",))
    backbone = HubLayer(IMAGES, open_to_train(str(path), tuned), FEATURES, "m", tuned)
    before = {each.name: each.numpy() for each in backbone.module.variables}
    backbone({"photo": tf.constant(PHOTOS[0])}, training=True)
    after = {each.name: each.numpy() for each in backbone.module.variables}
    assert {name for name in after if not np.array_equal(before[name], after[name])} == {"default/moving:0"}
    expected = (PHOTOS[0].astype(np.float32) / 255).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(after["default/moving:0"], expected, rtol=1e-5)


@pytest.mark.slow
def test_training_mode_needs_a_graph_for_it(tmp_path: Path) -> None:
    path, tuned = modules.images(tmp_path / "m", trains=False), VariableSelection(training_mode=True)
    with pytest.raises(UserError, match="needs a graph with the tag `train`, but there is none; remove training_mode"):
        try_out(IMAGES, open_to_train(str(path), tuned), FEATURES, tuned)
    try_out(
        IMAGES, open_to_train(str(path), VariableSelection()), FEATURES, VariableSelection()
    )  # through the graph for inference
