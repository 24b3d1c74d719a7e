"""Models on columns, alone and next to hub modules: from records to predictions."""

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.predict.predict import predict_inputs
from hubline.trainer import train as training
from hubline.trainer import untrained
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.export_format import HEAD, recipe_of
from hubline.trainer.exports import frozen_graph
from hubline.trainer.phases import phases
from hubline.trainer.train import Job, train
from hubline.trainer.variable_names import ATTRIBUTE
from tests.support import example_data, hub_modules
from tests.support.tabular import COLUMNS, ROWS, TABULAR, Row, features_of, job_of, records_of

MIXED = features_of(
    photo={"kind": "image", "from": "image", "size": [8, 8]},
    note={"kind": "text"},
    amount={"kind": "numeric", "normalize": "min_max", "missing": "median", "missing_indicator": True},
    colour={"kind": "categorical", "vocabulary": ["red", "green"], "oov_buckets": 1},
)
HUBS: Hubs = {
    "mean": Hub(handle="module", inputs={"images": "photo"}),
    "words": Hub(handle="module", inputs={"texts": "note"}),
}


class Lengths(tf.__internal__.tracking.AutoTrackable):
    """A text module that maps string [batch] to the numbers of characters and bytes, float32 [batch, 2]."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        units = ("UTF8_CHAR", "BYTE")
        return tf.cast(tf.stack([tf.strings.length(texts, unit) for unit in units], axis=1), tf.float32) / 10.0


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("tabular")
    (folder / "shades.txt").write_text("green\nred\n")
    shade = {"kind": "categorical", "from": "colour", "vocabulary": {"file": str(folder / "shades.txt")}}
    model = Model(head=Head(hidden=(8,)), wide=("both",))
    return job_of(folder, TABULAR | features_of(shade=shade), {}, {}, model)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("mixed")
    tf.saved_model.save(Lengths(), str(folder / "words"))
    modules = {"mean": str(hub_modules.mean_colour(folder / "mean")), "words": str(folder / "words")}
    job = job_of(folder, MIXED, HUBS, modules, Model(head=Head(hidden=(8,))))
    return dataclasses.replace(job, training=job.training.model_copy(update={"epochs": 4}))


TRAINED: dict[str, dict[str, Any]] = {}
"""The parts of each exported model, by its folder."""


class Remembered(training.ServingModel):
    """An exported model that records its parts."""

    def __init__(self, *made_of: Any) -> None:
        super().__init__(*made_of)
        self._made_of = dict(zip(("parts", "transform", "spec", "lists", "features", "task"), made_of, strict=True))

    def save(self, path: str, vectors: CachedVectors | None = None) -> dict[str, Any]:
        TRAINED[path] = self.__dict__.pop("_made_of")
        return super().save(path, vectors)


@pytest.fixture(scope="module")
def answers(tabular: Job, mixed: Job) -> dict[str, Any]:
    """Predictions of the trained models by signature, and the curves of each."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "ServingModel", Remembered)
        for name, job in (("tabular", tabular), ("mixed", mixed)):
            curves = train(job)
            for file in Path(job.export).parent.glob("*.txt"):
                file.unlink()  # the export has its own
            found[name] = curves, tf.saved_model.load(job.export)
    return found


def predict(model: Any, some: Sequence[Row], *columns: str) -> dict[str, tf.Tensor]:
    """Predictions from columns, with an empty text or no number for missing values."""
    types = model.signatures["predict"].structured_input_signature[1]
    nothing = {tf.string: "", tf.float32: float("nan"), tf.int64: tf.int64.min}
    values = {name: [row.get(name, nothing[types[name].dtype]) for row in some] for name in columns}
    return model.signatures["predict"](**{name: tf.constant(of, types[name].dtype) for name, of in values.items()})


def by_example(model: Any, some: Sequence[Row], *columns: str) -> dict[str, tf.Tensor]:
    return model.signatures["serving_default"](examples=tf.constant(records_of(some, *columns)))


def assert_same(one: Mapping[str, tf.Tensor], other: Mapping[str, tf.Tensor]) -> None:
    assert set(one) == set(other) == {"label", "score", "classes", "scores"}
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_a_model_without_any_hub_module_learns_what_only_a_cross_tells(answers, tabular: Job) -> None:
    curves, model = answers["tabular"]
    assert curves["val_accuracy"][-1] > 0.95
    truth = [b"tip" if row["tip"] > 0.1 * row["amount"] else b"no" for row in ROWS]
    assert np.mean(by_example(model, ROWS, *COLUMNS)["label"].numpy() == truth) > 0.95
    assert recipe_of(tabular.export) is None and not Path(tabular.export, HEAD).exists()


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    ("name", "columns"), [("tabular", [*COLUMNS]), ("mixed", ["amount", "colour", "note", "image"])]
)
def test_both_signatures_take_the_columns_and_answer_the_same(answers, name: str, columns: list[str]) -> None:
    _, model = answers[name]
    assert set(model.signatures["predict"].structured_input_signature[1]) == set(columns)
    assert_same(by_example(model, ROWS, *columns), predict(model, ROWS, *columns))


@pytest.mark.parametrize("name", ["tabular", "mixed"])
def test_a_frozen_graph_has_the_vocabularies_of_the_model(answers, name: str) -> None:
    _, model = answers[name]
    records = records_of(ROWS[:20], "note", "image", *COLUMNS)
    expected = model.signatures["serving_default"](examples=tf.constant(records))
    found = frozen_graph.answers(frozen_graph.frozen_graph(model), records, list(expected))
    np.testing.assert_array_equal(found["label"], expected["label"])
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-5)


def test_what_is_missing_or_new_is_answered(answers) -> None:
    _, model = answers["tabular"]
    whole = ROWS[0]
    without = {name: {key: value for key, value in whole.items() if key != name} for name in ("amount", "colour")}
    strange = [without["amount"], without["colour"], whole | {"colour": "mauve"}, whole | {"colour": "sand"}, whole]
    got = by_example(model, strange, *COLUMNS)
    assert_same(got, predict(model, strange, *COLUMNS))
    scores = got["scores"].numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    mean = float(np.mean([row["amount"] for row in ROWS[:100]]))
    of_mean = by_example(model, [whole | {"amount": mean}], *COLUMNS)["scores"].numpy()
    np.testing.assert_allclose(scores[:1], of_mean, atol=1e-5)  # a missing number is the training mean
    assert not np.allclose(scores[1], scores[4]) and not np.allclose(scores[2], scores[4])
    assert by_example(model, [{}], *COLUMNS)["scores"].shape == (1, 2)  # an empty record
    assert by_example(model, [whole | {"tip": 3.0, "other": 1}], *COLUMNS, "tip", "other")["scores"].shape == (1, 2)


WHOLE: Row = {"amount": 21.5, "colour": "red", "hour": 14}
STRANGE: dict[str, tuple[Row, Row]] = {
    "whole": (WHOLE, WHOLE),
    "nothing": ({}, {"amount": float("nan"), "colour": "", "hour": tf.int64.min}),
    "no amount": ({"colour": "red", "hour": 14}, WHOLE | {"amount": float("nan")}),
    "infinite": (WHOLE | {"amount": float("inf")}, WHOLE | {"amount": float("-inf")}),
    "no colour": ({"amount": 21.5, "hour": 14}, WHOLE | {"colour": ""}),
    "no hour": ({"amount": 21.5, "colour": "red"}, WHOLE | {"hour": tf.int64.min}),
    "new": (WHOLE | {"colour": "mauve"}, WHOLE | {"colour": "mauve"}),
    "no text": (WHOLE | {"colour": b"\xff\x00"}, WHOLE | {"colour": b"\xff\x00"}),
    "far": (WHOLE | {"amount": -3e38, "hour": tf.int64.max}, WHOLE | {"amount": -3e38, "hour": tf.int64.max}),
}
"""Records as tf.Examples, which lack columns; and the same by column, with placeholders for missing values."""


def rest(model: Any, body: str) -> dict[str, tf.Tensor]:
    """TensorFlow Serving's interpretation of a request: https://www.tensorflow.org/tfx/serving/api_rest#predict_api."""
    request = json.loads(body, object_hook=lambda value: base64.b64decode(value["b64"]) if "b64" in value else value)
    signature = model.signatures[request.get("signature_name", "serving_default")]
    takes = signature.structured_input_signature[1]
    columns = request.get("inputs")
    if columns is None:
        instances = request["instances"]
        columns = (
            {name: [instance[name] for instance in instances] for name in takes}
            if isinstance(instances[0], dict)
            else {next(iter(takes)): instances}
        )
    assert columns.keys() == takes.keys()
    return signature(**{name: tf.constant(values, takes[name].dtype) for name, values in columns.items()})


def as_json(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def test_whatever_is_missing_or_new_is_answered_alike_in_every_way_and_as_in_training(answers, tabular: Job) -> None:
    _, model = answers["tabular"]
    examples = tf.constant([example_data.record(**absent) for absent, _ in STRANGE.values()])
    by_column = [present for _, present in STRANGE.values()]
    made = TRAINED[tabular.export]
    trained, transform = made["parts"].whole, tabular.transform.transform_features_layer()

    @tf.function
    def as_in_training() -> dict[str, tf.Tensor]:
        transformed = transform(tf.io.parse_example(examples, made["spec"]))
        return made["task"].answer(trained({name: transformed[name] for name in trained.input}, training=False))

    expected = as_in_training()
    assert np.isfinite(expected["scores"].numpy()).all()

    instances = [{name: as_json(value) for name, value in row.items()} for row in by_column]
    columns = {name: [instance[name] for instance in instances] for name in COLUMNS}
    serialized = [as_json(example) for example in examples.numpy()]
    asked = {
        "examples": model.signatures["serving_default"](examples=examples),
        "columns": predict(model, by_column, *COLUMNS),
        "instances": rest(model, json.dumps({"signature_name": "predict", "instances": instances})),
        "inputs": rest(model, json.dumps({"signature_name": "predict", "inputs": columns})),
        "serialized": rest(model, json.dumps({"instances": serialized})),
    }
    for name, got in asked.items():
        assert got["label"].numpy().tolist() == expected["label"].numpy().tolist(), name
        np.testing.assert_allclose(got["scores"], expected["scores"], rtol=1e-5, err_msg=name)
    scores = dict(zip(STRANGE, expected["scores"].numpy()[:, 0].tolist(), strict=True))
    assert scores["infinite"] == scores["no amount"] != scores["whole"]
    assert len({scores[name] for name in ("whole", "no colour", "new", "no hour", "nothing")}) == 5


def test_hubline_predict_takes_json_of_records_in_which_columns_may_be_missing(
    answers, tabular: Job, tmp_path: Path
) -> None:
    _, model = answers["tabular"]
    rows = [{**WHOLE}, {}, {"amount": 3, "colour": None, "hour": 7.0}, {"amount": float("nan"), "colour": "mauve"}]
    same: list[Row] = [WHOLE, {}, {"amount": 3.0, "hour": 7}, {"colour": "mauve"}]
    expected = by_example(model, same, *COLUMNS)["scores"].numpy()
    lines = "\n".join(json.dumps(row) for row in rows)
    for name, text in (("lines.jsonl", lines), ("list.json", json.dumps(rows, indent=2))):
        (tmp_path / name).write_text(text)
        said = list(predict_inputs(tabular.export, [str(tmp_path / name)]))
        assert [(each["input"], each["record"]) for each in said] == [(str(tmp_path / name), n) for n in range(4)]
        scores = [[each["scores"][label] for label in ("no", "tip")] for each in said]
        np.testing.assert_allclose(scores, expected, rtol=1e-5)
    piped = CliRunner().invoke(app, ["predict", tabular.export, "-", "--json"], input=lines)
    assert [each["scores"] for each in json.loads(piped.stdout.splitlines()[-1])["predictions"]] == [
        each["scores"] for each in said
    ]


def test_beside_a_module_what_is_missing_or_new_is_answered(answers) -> None:
    _, model = answers["mixed"]
    columns = ["amount", "colour", "note", "image"]
    bare = {"image": ROWS[0]["image"]}
    strange = [bare, bare | {"colour": "mauve", "amount": 1e9}, ROWS[0]]
    got = by_example(model, strange, *columns)
    assert_same(got, predict(model, strange, *columns))
    assert np.isfinite(got["scores"].numpy()).all()
    amounts = [row["amount"] for row in ROWS[:100]]
    filled = [ROWS[0] | {"amount": amount} for amount in (min(amounts), max(amounts))]
    low, high, none = by_example(model, [*filled, {key: ROWS[0][key] for key in columns[1:]}], *columns)[
        "scores"
    ].numpy()
    assert not np.allclose(low, high) and not np.allclose(none, low)


def test_training_on_kept_vectors_and_columns_is_training_on_images_and_columns(answers, mixed: Job, tmp_path) -> None:
    kept, model = answers["mixed"]
    again = dataclasses.replace(mixed, export=str(tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            untrained,
            "phases",
            lambda *given: [dataclasses.replace(phase, on_vectors=False) for phase in phases(*given)],
        )
        whole = train(again)
    assert kept["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert kept["loss"][-1] < kept["loss"][0]
    columns = ["amount", "colour", "note", "image"]
    one, two = (by_example(each, ROWS, *columns)["scores"] for each in (model, tf.saved_model.load(again.export)))
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_the_head_answers_rows_with_columns_and_vectors(answers, mixed: Job) -> None:
    _, model = answers["mixed"]
    records = tf.constant(example_data.read_tfrecord(mixed.validation.records[0], "GZIP"))
    kept = tf.constant(example_data.read_tfrecord(mixed.validation.rows[0]))
    head = tf.saved_model.load(f"{mixed.export}/{HEAD}")
    by_row, by_record = (one.signatures["serving_default"](examples=of) for one, of in ((head, kept), (model, records)))
    np.testing.assert_allclose(by_row["scores"], by_record["scores"], atol=1e-5)
    assert recipe_of(mixed.export) == "the recipe"


def test_rows_hold_what_each_module_gave_and_every_column_but_images(mixed: Job) -> None:
    kept = [
        tf.train.Example.FromString(row).features.feature for row in example_data.read_tfrecord(mixed.train.rows[0])
    ]
    for columns, row in zip(kept, ROWS, strict=False):
        assert set(columns) == {*COLUMNS, "tip", "note", "hubline.vector.mean", "hubline.vector.words"}
        letters = len(row["note"])
        given = columns["hubline.vector.words"].float_list.value
        assert list(given) == pytest.approx([letters / 10, 2 * letters / 10])


def test_an_embedding_begins_with_what_a_module_gives_for_each_word(tabular: Job, tmp_path: Path) -> None:
    tf.saved_model.save(Lengths(), str(tmp_path / "words"))

    def job(size: int) -> Job:
        encode = {"embedding": size, "pretrained": "lengths"}
        colour = {"kind": "categorical", "oov_buckets": 1, "encode": encode}
        return dataclasses.replace(
            tabular,
            features=features_of(colour=colour),
            hubs={"lengths": Hub(handle="module")},
            module_paths={"lengths": str(tmp_path / "words")},
            model=Model(),
            training=Training(epochs=1, batch_size=50, optimizer=Optimizer(name="sgd", learning_rate=1e-9)),
            export=str(tmp_path / "export"),
            checkpoints=str(tmp_path / "checkpoints"),
        )

    train(job(2))
    reader = tf.train.load_checkpoint(f"{tmp_path}/export/variables/variables")
    tables = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if name.startswith(ATTRIBUTE)]
    (table,) = [each for each in tables if each.shape == (3, 2)]
    known = [word.decode() for word in tabular.transform.vocabulary_by_name("feature_colour")]
    np.testing.assert_allclose(table[:2], [[len(word) / 10] * 2 for word in known], atol=1e-6)
    assert not np.allclose(table[2], table[:2].mean(axis=0), atol=1e-3)  # the bucket is initialized like all embeddings
    with pytest.raises(UserError, match=r"features\.colour: the module 'lengths' gives 2 numbers .*embedding: 2, pre"):
        train(job(4))
