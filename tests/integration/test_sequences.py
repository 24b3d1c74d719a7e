"""Models of sequences: labels that depend on the order only, and lists in both signatures of an exported model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from hubline.preprocessing.config import Features, Label
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.train import Job, train
from tests.support import example_data
from tests.support import job as make_job

LISTS = {"symbols": "BYTES", "strengths": "FLOAT", "readings": "FLOAT", "triple": "FLOAT", "codes": "INT"}
NAN, NONE = float("nan"), np.iinfo(np.int64).min
Row = Mapping[str, Any]


def rows(count: int) -> list[Row]:
    """The symbols a and b occur equally often in each, in any order; the label is the last one."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        symbols = rng.permutation(["a", "b"] * int(rng.integers(1, 4))).tolist()
        found.append(
            {
                "symbols": symbols,
                "strengths": rng.uniform(0.5, 1.5, len(symbols)).tolist(),
                "readings": rng.normal(size=2 * int(rng.integers(0, 5))).tolist(),
                "triple": rng.normal(size=3).tolist(),
                "codes": rng.integers(0, 5, int(rng.integers(0, 4))).tolist(),
                "colour": ["red"],
                "label": [int(symbols[-1] == "b")],
            }
        )
    return found


ROWS = rows(240)


def records_of(some: Sequence[Row]) -> list[bytes]:
    return [
        example_data.record(**{name: example_data.feature(*values) for name, values in row.items() if values})
        for row in some
    ]


def trained(folder: Path, epochs: int, **features: Mapping[str, Any]) -> tuple[dict[str, list[float]], Any]:
    """The curves, and the exported model."""
    described = TypeAdapter(Features).validate_python(features)
    label = TypeAdapter(Label).validate_python({"from": "label", "kind": "class", "classes": ["a", "b"]})
    raw = make_job.schema("value_count {min: 1}", **LISTS)
    raw.MergeFrom(make_job.schema("value_count {min: 1 max: 1}", colour="BYTES", label="INT"))
    records = records_of(ROWS)
    splits = {
        name: make_job.split(folder / name, [some], described, {}, {}, raw)
        for name, some in (("train", records[:160]), ("validation", records[160:]))
    }
    job = Job(
        features=described,
        label=label,
        hubs={},
        model=Model(head=Head(hidden=(8,))),
        training=Training(epochs=epochs, batch_size=16, optimizer=Optimizer(learning_rate=0.02), shuffle_buffer=200),
        schema=raw,
        transform=make_job.transform_graph(folder, records[:160], described, label, raw),
        module_paths={},
        vectors=CachedVectors(sizes={}, recipe=""),
        views=1,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
        **splits,
    )
    return train(job), tf.saved_model.load(job.export)


def symbols(combiner: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"kind": "categorical", "from": "symbols", "encode": {"embedding": 4, "combiner": combiner}}


@pytest.mark.parametrize(("combiner", "learns"), [("mean", False), ({"gru": 8}, True)])
def test_which_symbol_came_last_is_learned_by_what_keeps_the_order(tmp_path: Path, combiner, learns: bool) -> None:
    curves, model = trained(tmp_path, 15, symbols=symbols(combiner))
    accuracy = curves["val_accuracy"][-1]
    assert accuracy > 0.97 if learns else accuracy < 0.7
    if learns:
        asked = [{"symbols": ["a", "b", "a", "b"]}, {"symbols": ["b", "a", "b", "a"]}]
        answers = model.signatures["serving_default"](examples=tf.constant(records_of(asked)))
        assert answers["label"].numpy().tolist() == [b"b", b"a"]


def by_column(model: Any, some: Sequence[Row]) -> dict[str, tf.Tensor]:
    """Predictions from columns: lists padded at the end, to one more than the longest."""
    specs = model.signatures["predict"].structured_input_signature[1]
    given = {}
    for name, spec in specs.items():
        nothing = {tf.string: "", tf.float32: NAN, tf.int64: NONE}[spec.dtype]
        most = max(len(row.get(name, [])) for row in some) + 1 if spec.shape.rank == 2 else 1
        padded = [[*row.get(name, []), *[nothing] * most][:most] for row in some]
        values = padded if spec.shape.rank == 2 else [of_row[0] for of_row in padded]
        given[name] = tf.constant(values, spec.dtype)
    return model.signatures["predict"](**given)


@pytest.mark.both_stacks
def test_lists_are_taken_by_example_and_by_column(tmp_path: Path) -> None:
    _, model = trained(
        tmp_path,
        2,
        symbols=symbols({"attention": 2, "units": 8}) | {"weights": "strengths"},
        readings={"kind": "sequence", "width": 2, "normalize": "z_score", "combiner": {"lstm": 4}},
        triple={"kind": "numeric", "length": 3, "normalize": "min_max"},
        first={"kind": "numeric", "from": "strengths"},
        codes={"kind": "categorical", "identity": 5},
        colour={"kind": "categorical"},
    )
    specs = model.signatures["predict"].structured_input_signature[1]
    ranks = {name: spec.shape.rank for name, spec in specs.items()}
    assert ranks == dict.fromkeys(LISTS, 2) | {"colour": 1}
    whole = ROWS[0] | {"readings": [0.5, -0.5, 1.0, 2.0]}
    some = [
        *ROWS[:20],
        whole,
        whole | {"triple": whole["triple"][:2]},
        whole | {"readings": whole["readings"][:2]},
        whole | {"readings": [*whole["readings"], NAN, NAN]},  # ignored
        whole | {"readings": [NAN, NAN, *whole["readings"]]},  # a step with the mean
        whole | {"codes": [4, 4, 4]},
        whole | {"symbols": ["a", "mauve", "b"]},
        whole | {"readings": []},
        {},
    ]
    by_example = model.signatures["serving_default"](examples=tf.constant(records_of(some)))["scores"].numpy()
    np.testing.assert_allclose(by_example, by_column(model, some)["scores"], rtol=1e-4, atol=1e-6)
    assert np.isfinite(by_example).all()
    of_whole, *others = by_example[20:]
    same = [np.allclose(of_whole, other, atol=1e-6) for other in others]
    assert same == [False, False, True, False, False, False, False, False]


def test_one_value_each_is_taken_as_ever(tmp_path: Path) -> None:
    """Even if the data has lists: only the first value is used."""
    features = {"first": {"kind": "numeric", "from": "triple"}, "colour": {"kind": "categorical"}}
    _, model = trained(tmp_path, 1, **features)
    specs = model.signatures["predict"].structured_input_signature[1]
    assert {name: spec.shape.rank for name, spec in specs.items()} == {"triple": 1, "colour": 1}
    by_example = model.signatures["serving_default"](examples=tf.constant(records_of(ROWS[:9])))["scores"]
    np.testing.assert_allclose(by_example, by_column(model, ROWS[:9])["scores"], rtol=1e-5)
