"""Full runs of files with `task: infer`, and messages about errors in them."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from tests.support import example_data, record_models
from tests.support import model as make_model
from tests.support.inference import CLASSIFY, NAMES, colours, rows


def ran(result: Result) -> list[str]:
    return [step.id for step in result.steps if not step.cached]


@pytest.mark.slow
def test_a_classifier_is_held_to_known_classes_and_asked_again_about_new_files_alone(tmp_path: Path, capsys) -> None:
    records, means = colours(60)
    undecodable = example_data.record(image=example_data.random_image(0)[:60], id="bad", **{"class": "red"})
    no_class = example_data.record(image=example_data.random_image(0), id="none")
    first = [*records[:5], no_class, *records[5:20], undecodable, *records[20:30]]
    example_data.write_tfrecord(tmp_path / "data" / "a.tfrecord", first)
    example_data.write_tfrecord(tmp_path / "data" / "b.tfrecord.gz", records[30:50], "GZIP")
    make_model.saved(tmp_path / "module", make_model.Classifier())
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY)

    result, code = run(path, None, quiet=False)
    assert code == 0, result.error
    assert result.predictions == f"{tmp_path}/predictions/1" and result.newly_predicted
    said = rows(result.predictions)
    assert [one["key"] for one in said] == [f"id-{number}" for number in range(50)]
    numbers = [number for number in range(32) if number not in (5, 21)]
    expected = [(f"{tmp_path}/data/a.tfrecord", number) for number in numbers]
    expected += [(f"{tmp_path}/data/b.tfrecord.gz", number) for number in range(20)]
    assert [(one["input"], one["record"]) for one in said] == expected
    best = np.argsort(-means[:50], axis=1)
    assert [[top["index"] for top in one["top"]] for one in said] == best[:, :2].tolist()
    (bad,) = Path(result.predictions, "bad.jsonl").read_text().splitlines()
    assert (json.loads(bad)["input"], json.loads(bad)["record"]) == (f"{tmp_path}/data/a.tfrecord", 21)
    columns = [tf.train.Example.FromString(record).features.feature for record in records[:50]]
    true = np.array([NAMES.index(column["class"].bytes_list.value[0].decode()) for column in columns])
    accuracy, top_2 = (best[:, 0] == true).mean(), (best[:, :2] == true[:, np.newaxis]).any(axis=1).mean()
    assert 0.3 < accuracy < top_2 < 1
    evaluated = json.loads(Path(result.predictions, "evaluation.json").read_text())
    shares = {"accuracy": pytest.approx(accuracy), "top_accuracy": pytest.approx(top_2)}
    assert evaluated == {"label": "class", "records": 50, "top": 2} | shares
    assert result.metrics == {"accuracy": pytest.approx(accuracy), "top_2_accuracy": pytest.approx(top_2)}
    shown = capsys.readouterr().out
    assert f"accuracy {accuracy:.4f}" in shown and f"Predicted: {result.predictions}" in shown
    assert Path(result.report, "index.html").exists()

    again, code = run(path, None, quiet=True)
    assert (code, again.nothing_to_do, again.newly_predicted) == (0, True, False)
    for expected in (["Predictor"], []):  # without the record of the last run, there is a version to compare with
        (tmp_path / ".hubline" / "colours" / "last-run.json").unlink()
        third, code = run(path, None, quiet=True)
        assert (code, ran(third), third.predictions) == (0, expected, result.predictions)

    entries = set((tmp_path / ".hubline" / "colours" / "store").iterdir())
    example_data.write_tfrecord(tmp_path / "data" / "c.tfrecord", records[50:])
    more, code = run(path, None, quiet=True)
    assert (code, more.predictions, more.newly_predicted) == (0, f"{tmp_path}/predictions/2", True)
    assert [one["key"] for one in rows(str(more.predictions))] == [f"id-{number}" for number in range(60)]
    # Ingested records, statistics and rows of predictions for the new file; everything else comes from the cache.
    assert len(set((tmp_path / ".hubline" / "colours" / "store").iterdir()) - entries) == 3
    assert rows(result.predictions) == said


@pytest.mark.both_stacks
@pytest.mark.slow
def test_a_pushed_model_is_asked_and_answers_as_it_does_itself(tmp_path: Path) -> None:
    numbers = np.linspace(-5, 5, 40)
    example_data.write_tfrecord(tmp_path / "data" / "x", [example_data.record(x=x, word="") for x in numbers.tolist()])
    make_model.served(tmp_path / "serving")
    path = tmp_path / "infer.yaml"
    path.write_text(
        "task: infer\nname: ask\ndata: {examples: data}\nmodel: {from: serving}\n"
        "predictions: {destination: out, format: tfrecord}\n"
    )
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    (file,) = Path(str(result.predictions)).iterdir()
    spec = {"record": tf.io.FixedLenFeature([], tf.int64), "scores": tf.io.FixedLenFeature([2], tf.float32)}
    parsed = tf.io.parse_example(example_data.read_tfrecord(file), spec)
    assert parsed["record"].numpy().tolist() == list(range(40))
    np.testing.assert_allclose(parsed["scores"][:, 1], 1 / (1 + np.exp(-numbers)), atol=1e-6)

    example_data.write_tfrecord(tmp_path / "data" / "y", [example_data.record(word="no x")])
    failed, code = run(path, None, quiet=True)
    assert (code, failed.failed_step) == (1, "Predictor")
    assert f"{tmp_path}/data/y: record 0 (counted from 0): it cannot be predicted on: " in str(failed.error)
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["1"]


@pytest.mark.slow
def test_a_model_of_another_program_is_asked_about_records_as_they_are(tmp_path: Path) -> None:
    numbers = np.random.default_rng(3).normal(size=30).astype(np.float32)
    kinds = [str(int(n % 3 == 0)) for n in range(30)]
    records = [example_data.record(x=float(x), kind=kind) for x, kind in zip(numbers, kinds, strict=True)]
    example_data.write_tfrecord(tmp_path / "data" / "x", [*records[:7], example_data.record(kind="1"), *records[7:]])
    record_models.estimator(tmp_path / "serving" / "1700000000")
    path = tmp_path / "infer.yaml"
    path.write_text(
        "task: infer\nname: others\ndata: {examples: data, bad_records: {policy: quarantine, max_fraction: 0.1}}\n"
        "model: {from: serving, record_input: examples, signature: classification, allow_operations: [PrintV2]}\n"
        "label: {kind: class, from: kind}\npredictions: {destination: out, top: 2, batch_size: 8}\n"
    )
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    high = 1 / (1 + np.exp(-(2 * numbers.astype(np.float64) - 0.5)))
    said = rows(str(result.predictions))
    assert [one["record"] for one in said] == [n for n in range(31) if n != 7]
    np.testing.assert_allclose([one["scores"]["1"] for one in said], high, atol=1e-6)
    assert [one["label"] for one in said] == [str(int(share > 0.5)) for share in high]
    (bad,) = Path(str(result.predictions), "bad.jsonl").read_text().splitlines()
    assert json.loads(bad)["record"] == 7 and "x" in json.loads(bad)["reason"]
    true = np.mean([(share > 0.5) == (kind == "1") for share, kind in zip(high, kinds, strict=True)])
    assert result.metrics == {"accuracy": pytest.approx(true), "top_2_accuracy": 1.0} and 0 < true < 1
    # Another signature answers anew.
    path.write_text(path.read_text().replace("signature: classification", "signature: predict"))
    other, code = run(path, None, quiet=True)
    assert code == 0 and other.newly_predicted, other.error
    np.testing.assert_allclose([one["x"] for one in rows(str(other.predictions))], numbers)


@pytest.mark.slow
def test_a_detector_is_asked_about_pictures_in_their_own_size(tmp_path: Path) -> None:
    boxes = {"wide": (20, 40, 5, 10, 15, 30), "high": (64, 16, 16, 4, 48, 8), "wide again": (20, 40, 0, 20, 10, 40)}
    records = [example_data.record(photo=make_model.white_box(*box), name=name) for name, box in boxes.items()]
    example_data.write_tfrecord(tmp_path / "data" / "a.tfrecord", records)
    make_model.saved(tmp_path / "module", make_model.Detector(in_pixels=True))
    (tmp_path / "labels.txt").write_text("one\ntwo\n")
    path = tmp_path / "infer.yaml"
    path.write_text(
        "task: infer\nname: boxes\ndata: {examples: data}\nfeatures: {photo: {kind: image}}\n"
        "hubs: {finds: {handle: module, inputs: {x: photo}}}\n"
        "predictions: {destination: out, labels: labels.txt, key: name}\n"
    )
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    said = rows(str(result.predictions))
    assert [one["key"] for one in said] == list(boxes)
    expected = [[0.25, 0.25, 0.75, 0.75], [0.25, 0.25, 0.75, 0.5], [0, 0.5, 0.5, 1]]
    for one, box in zip(said, expected, strict=True):
        assert one["detections"] == [{"box": pytest.approx(box), "score": 0.75, "class": 2, "name": "two"}]


@pytest.mark.slow
def test_what_is_found_in_a_batch_stays_with_its_record(tmp_path: Path) -> None:
    faces = {"two": [(1, 2), (5, 6)], "none": [], "one": [(3, 3)]}
    records = [example_data.record(photo=make_model.with_faces(*places), name=name) for name, places in faces.items()]
    example_data.write_tfrecord(tmp_path / "data" / "a.tfrecord", records[:2])  # as many records as faces
    example_data.write_tfrecord(tmp_path / "data" / "b.tfrecord", records[2:])
    make_model.saved(tmp_path / "module", make_model.Faces())
    path = tmp_path / "infer.yaml"
    path.write_text(
        "task: infer\nname: faces\ndata: {examples: data}\nfeatures: {photo: {kind: image}}\n"
        "hubs: {finds: {handle: module, inputs: {x: photo}}}\n"
        "predictions: {destination: out, key: name}\n"
    )
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    said = {one["key"]: one for one in rows(str(result.predictions))}
    found = {key: [[round(side) for side in face[:4]] for face in one["faces"]] for key, one in said.items()}
    assert found == {key: [[row, left, row + 1, left + 1] for row, left in faces[key]] for key in faces}
    (tried,) = tmp_path.glob(".hubline/faces/**/HubModule.finds/model/*/tried.json")
    assert json.loads(tried.read_text())["outputs"] == {
        "faces": "loose", "mean": "row", "logs": "row", "sharpness": "loose"
    }  # fmt: skip
    (warning,) = result.warnings
    assert warning.startswith("hubs.finds: tried on ordinary input, the module's output 'logs' is -inf in 3 of 3 numb")


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("task: infer", "task: infr", "task", "unknown task 'infr'; did you mean 'infer'?"),
        ("data: {", "training: {epochs: 3}\ndata: {", "training", "leave it out (not used: `infer` trains nothing"),
        ("data: {", "serving: {destination: x}\ndata: {", "serving", "leave it out (not used: `infer` pushes no model"),
        ("data: {", "evaluation: {}\ndata: {", "evaluation", "leave it out (not used: `infer` blesses nothing"),
        ("examples: data", "examples: data, split: {train: 1}", "data.split", "unknown key"),
        ("hubs: {", "model: {from: serving}\nhubs: {", "model", "there are a hub module and a model"),
        (
            "hubs: {colours: {handle: module, inputs: {images: photo}}}",
            "",
            "",
            "there is neither a hub module nor a model",
        ),
        (
            "kind: image, from: image, size: [8, 8]",
            "kind: bucketized, buckets: 3",
            "features.photo",
            "takes images, clips, sounds, numbers and texts as they are; 'pho",
        ),
        ("features: {", "features: {n: {kind: numeric}, ", "features.n.missing", "set constants, such as missing: 0"),
        (
            "features: {",
            "features: {n: {kind: numeric, missing: 0, missing_indicator: true}, ",
            "features.n.missing_indicator",
            "the hub module takes the numbers alone; leave it out",
        ),
        ("features: {", "features: {other: {kind: text}, ", "features.other", "the hub module does not take 'other'"),
        ("kind: class, classes", "kind: binary, classes", "label.kind", "'binary' is not known here"),
        ("inputs: {images: photo}", "inputs: {}", "hubs.colours", "has no inputs; set the feature that feeds each"),
        ("size: [8, 8]", "size: [8, 0]", "features.photo.size[1]", "greater than or equal to 1"),
        ("size: [8, 8]", "size: 8", "features.photo.size", "should be a valid list"),
        ("top: 2", "top: 0", "predictions.top", "greater than or equal to 1"),
        ("examples: data", "examples: data, window: 2", "data.window", "a window counts spans"),
    ],
)
def test_a_mistake_says_what_would_be_right(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY)
    load(path)
    assert old in CLASSIFY
    path.write_text(CLASSIFY.replace(old, new))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    assert [says in diagnostic.message for diagnostic in caught.value.diagnostics if diagnostic.key == key] == [True], (
        caught.value
    )


@pytest.mark.slow
def test_check_reads_the_signatures_of_a_model_that_takes_records(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "x", [example_data.record(x=1.0)])
    record_models.line(tmp_path / "serving" / "3", one="line", other="logits", numbers="numbers")
    record_models.reading(tmp_path / "reading")
    path = tmp_path / "infer.yaml"

    def mistakes(model: str) -> dict[str, str]:
        given = f"model: {{record_input: examples, {model}}}\n"
        path.write_text(f"task: infer\nname: a\ndata: {{examples: data}}\n{given}predictions: {{destination: p}}\n")
        try:
            check(path)
        except PipelineFileError as error:
            return {diagnostic.key: diagnostic.message for diagnostic in error.diagnostics}
        return {}

    assert mistakes("from: serving, signature: one") == mistakes("from: serving/3, signature: other") == {}
    assert "several signatures take serialized tf.Examples" in mistakes("from: serving")["model.from"]
    assert (
        "'numbers' takes no serialized tf.Examples" in mistakes("from: serving, signature: numbers")["model.signature"]
    )
    assert "ReadFile (reads files)" in mistakes("from: reading")["model.from"]
    assert mistakes("from: reading, allow_operations: [ReadFile]") == {}
    path.write_text(path.read_text().replace("record_input: examples, ", ""))
    with pytest.raises(PipelineFileError, match="allow_operations requires record_input: examples"):
        load(path)


def test_what_a_pushed_model_answers_needs_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "infer.yaml"
    model = "model: {from: s}\npredictions: {destination: p, min_score: 0.1}\n"
    path.write_text(f"task: infer\nname: a\ndata: {{examples: data}}\n{model}")
    with pytest.raises(PipelineFileError, match=r"predictions.min_score: is for hub modules; leave it out"):
        load(path)


def test_what_a_file_points_at_is_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY)
    with pytest.raises(PipelineFileError) as caught:
        check(path)
    assert {diagnostic.key for diagnostic in caught.value.diagnostics} == {
        "data.examples", "hubs.colours.handle", "predictions.labels"
    }  # fmt: skip


def test_commands_that_are_for_training_say_so(tmp_path: Path) -> None:
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY)
    result = CliRunner().invoke(app, ["schema", str(path)])
    assert isinstance(
        result.exception, UserError
    ) and "has task: infer; hubline schema needs a file that trains a model" in str(result.exception)


@pytest.mark.slow
def test_small_files_are_asked_about_together_and_named_each(tmp_path: Path) -> None:
    records, means = colours(60)
    wrong = {
        4: [example_data.record(image=example_data.random_image(0), id="none"), records[12]],
        9: [
            records[27],
            example_data.record(image=example_data.random_image(0)[:60], id="bad", **{"class": "red"}),
            records[28],
        ],
    }
    expected = []
    for number in range(20):
        path = tmp_path / "data" / f"{number:02d}.tfrecord"
        given = wrong.get(number, records[3 * number : 3 * number + 3])
        example_data.write_tfrecord(path, given, "" if number % 2 else "GZIP")
        sound = [n for n, record in enumerate(given) if record in records]
        expected += [(str(path), n, records.index(given[n])) for n in sound]
    make_model.saved(tmp_path / "module", make_model.Classifier())
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    path = tmp_path / "infer.yaml"
    path.write_text(CLASSIFY)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    said = rows(str(result.predictions))
    assert [(one["input"], one["record"], one["key"]) for one in said] == [
        (input_, record, f"id-{number}") for input_, record, number in expected
    ]
    best = np.argmax(means, axis=1)
    assert [one["top"][0]["index"] for one in said] == [best[number] for _, _, number in expected]
    (bad,) = Path(str(result.predictions), "bad.jsonl").read_text().splitlines()
    assert (json.loads(bad)["input"], json.loads(bad)["record"]) == (f"{tmp_path}/data/09.tfrecord", 1)
    assert len(list(Path(str(result.predictions)).glob("predictions-*.jsonl"))) < 10
