"""Classes and boxes: metrics compared with counted pixels, reading of records, and rejected records."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.preprocessing.columns import parsing_spec, present
from hubline.preprocessing.config import Label
from hubline.preprocessing.kinds.kind import TransformContext
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer import boxes
from hubline.trainer.labels.parts import task_of
from hubline.trainer.metrics.in_training import metrics_of
from tests.support import boxes as make_boxes
from tests.support import example_data
from tests.support import job as make_job

_SIDE = 24


def _box(numbers: list[int]) -> list[int]:
    y, x, other_y, other_x = numbers
    return [min(y, other_y), min(x, other_x), max(y, other_y), max(x, other_x)]


corners = st.lists(st.integers(0, _SIDE), min_size=4, max_size=4).map(_box)


def _pixels(box: list[int]) -> np.ndarray:
    top, left, bottom, right = box
    grid = np.zeros([_SIDE, _SIDE], bool)
    grid[top:bottom, left:right] = True
    return grid


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(corners, corners)
def test_iou_and_giou_are_what_counted_pixels_say(one: list[int], other: list[int]) -> None:
    first, second = _pixels(one), _pixels(other)
    common, together = (first & second).sum(), (first | second).sum()
    around = _pixels([min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])]).sum()
    iou = common / together if together else 0.0
    giou = iou - ((around - together) / around if around else 0.0)
    shares = tf.constant([one, other], tf.float32) / _SIDE
    assert float(boxes.iou(*shares)) == pytest.approx(iou, abs=1e-5)
    assert float(boxes.giou(*shares)) == pytest.approx(giou, abs=1e-5)
    assert float(make_boxes.iou(*shares.numpy())) == pytest.approx(iou, abs=1e-5)  # the tests' own


@pytest.mark.slow
@given(st.lists(st.floats(-30, 30), min_size=4, max_size=4))
@settings(deadline=None)
def test_no_output_is_upside_down_and_zeros_are_the_middle(outputs: list[float]) -> None:
    top, left, bottom, right = boxes.of_raw(tf.constant(outputs)).numpy()
    assert top <= bottom and left <= right
    np.testing.assert_allclose(boxes.of_raw(tf.zeros([1, 4])), [[0.25, 0.25, 0.75, 0.75]])


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def test_the_loss_is_cross_entropy_and_giou_by_their_weights_and_nothing_of_what_is_gone() -> None:
    label = make_boxes.label(loss_weights={"class": 2, "box": 3})
    task = task_of(label, None, {})  # type: ignore[arg-type]
    # In the middle at (0.25, 0.5), 0.5 high and 0.5 wide: from (0, 0.25) to (0.5, 0.75).
    raw = [1.0, 3.0, _logit(0.25), _logit(0.5), 0.0, 0.0]
    target = [[0, 0.0, 0.25, 0.5, 0.75], [1, 0.0, 0.5, 0.5, 1.0], [1, 0.0, 0.0, 0.0, 0.0]]
    of_class = np.array([np.log(1 + np.exp(2)), np.log(1 + np.exp(-2))])
    of_box = np.array([0.0, 1 - 0.125 / 0.375])  # side by side: the enclosing box contains nothing else
    expected = (2 * of_class + 3 * of_box).sum() / 3
    outputs = tf.constant([raw] * 3)
    assert float(task.loss()(tf.constant(target), outputs)) == pytest.approx(expected, abs=1e-5)
    accuracy, mean_iou = metrics_of("class_and_box", task, ["accuracy", "mean_iou"])
    for metric in (accuracy, mean_iou):
        metric.update_state(tf.constant(target[:2]), outputs[:2])
    assert float(accuracy.result()) == 0.5
    assert float(mean_iou.result()) == pytest.approx((1 + 1 / 3) / 2, abs=1e-5)


def test_it_answers_as_classes_do_and_with_a_box_in_the_picture() -> None:
    task = task_of(make_boxes.label(), None, {})  # type: ignore[arg-type]
    answer = task.answer(tf.constant([[0.0, 2.0, _logit(0.9), _logit(0.5), _logit(0.4), _logit(0.2)]]))
    assert {name: (values.dtype, values.shape.as_list()) for name, values in answer.items()} == {
        "label": (tf.string, [1]), "score": (tf.float32, [1]), "classes": (tf.string, [1, 2]),
        "scores": (tf.float32, [1, 2]), "box": (tf.float32, [1, 4]),
    }  # fmt: skip
    assert answer["label"].numpy().tolist() == [b"green"]
    np.testing.assert_allclose(answer["box"], [[0.7, 0.4, 1.0, 0.6]], atol=1e-6)  # 1.1 is beyond the edge


SIDES = {"top": "ymin", "left": "xmin", "bottom": "ymax", "right": "xmax"}
SEVERAL = [[0.1, 0.1, 0.3, 0.3], [0.0, 0.5, 0.5, 1.0], [0.2, 0.2, 0.9, 0.9]]


def _read(records: list[bytes], label: Any, **types: str) -> tuple[np.ndarray, list[str], list[int]]:
    """The target of each record, the class names, and the numbers of objects."""
    spec = parsing_spec(make_job.schema(**types), label.columns)
    parsed = tf.io.parse_example(records, spec)
    read = TransformContext(lambda column: present(parsed[column]), None)  # type: ignore[arg-type]
    names = [name.decode() for name in label.names(read).numpy()]
    return label.transform(read)[LABEL].numpy(), names, label.objects(read).numpy().tolist()


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("pixels", [False, True])
def test_of_several_objects_the_largest_of_the_classes_counts(separate: bool, pixels: bool) -> None:
    objects = [
        (["red", "green", "blue"], SEVERAL),  # blue is larger, and not a class
        (["red"], [[-0.005, 0.2, 0.4, 1.01]]),  # as from coordinates that start at 1
        (["green", "red"], [[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]),  # the first of equal ones
    ]
    records = []
    for names, found in objects:
        numbers = np.array(found)
        if pixels:
            numbers *= [200, 100, 200, 100]
        columns = dict(zip(SIDES.values(), numbers.T.tolist(), strict=True)) if separate else {"boxes": numbers.ravel()}
        made = {name: example_data.feature(*map(float, values)) for name, values in columns.items()}
        records.append(example_data.record(box_labels=example_data.feature(*names), height=200, width=100, **made))
    said: dict[str, Any] = {"box": SIDES} if separate else {}
    said |= {"units": "pixels", "height": "height", "width": "width"} if pixels else {}
    types = {"box_labels": "BYTES", "height": "INT", "width": "INT"}
    types |= dict.fromkeys(SIDES.values() if separate else ["boxes"], "FLOAT")
    target, names, counts = _read(records, make_boxes.label(**said), **types)
    expected = [[1, *SEVERAL[1]], [0, 0.0, 0.2, 0.4, 1.0], [1, 0.0, 0.0, 0.5, 0.5]]
    np.testing.assert_allclose(target, expected, atol=1e-6)
    assert names == ["green", "red", "green"]
    assert counts == [2, 1, 2]


def test_numbers_are_positions_among_the_classes() -> None:
    record = example_data.record(
        box_labels=example_data.feature(0, 1), boxes=example_data.feature(0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 1.0, 1.0)
    )
    target, names, _ = _read([record], make_boxes.label(), box_labels="INT", boxes="FLOAT")
    assert target.tolist() == [[1, 0, 0, 1, 1]]
    assert names == ["green"]


def _record(boxes: list[float] | None = None, labels: list[Any] | None = None, **more: Any) -> bytes:
    boxes = [0.1, 0.2, 0.3, 0.4] if boxes is None else boxes
    labels = ["red"] if labels is None else labels
    as_list = tf.train.Feature(float_list=tf.train.FloatList(value=boxes))
    names = example_data.feature(*labels) if labels else tf.train.Feature(bytes_list=tf.train.BytesList())
    return example_data.record(
        **({"image": example_data.random_image(0), "boxes": as_list, "box_labels": names} | more)
    )


_SIZE = {"units": "pixels", "height": "height", "width": "width"}


@pytest.mark.parametrize(
    ("record", "said", "fault"),
    [
        (_record(), {}, None),
        (_record([-0.005, 0.0, 1.0, 1.01]), {}, None),
        (_record([0.1, 0.2, 0.3, 0.4] * 2, ["blue", "green"]), {}, None),
        (_record([10, 20, 30, 40], height=50, width=40), _SIZE, None),
        (_record([0.3, 0.2, 0.1, 0.4]), {}, "its box 1 of 1, in 'boxes', is upside down: top 0.3"),
        (_record([0.1, 0.2, 0.3, 0.2]), {}, "its box 1 of 1, in 'boxes', has no area in the picture"),
        (_record([1.0, 0.2, 1.005, 0.4]), {}, "has no area in the picture"),
        (_record([0.1, 0.2, 1.3, 0.4]), {}, "is outside the picture, which is from 0 to 1: top 0.1"),
        (_record([10, 20, 30, 40]), {}, "for coordinates in pixels, say units: pixels"),
        (_record([10, 20, 30, 45], height=50, width=40), _SIZE, "is outside the picture of 40x50 pixels"),
        (_record([10, 20, 30, 40], height=0, width=40), _SIZE, "its column 'height', a side of the picture"),
        (_record([10, 20, 30, 40], height=50), _SIZE, "it has no column 'width'"),
        (_record([0.1, float("nan"), 0.3, 0.4]), {}, "is not finite: top 0.1, left nan"),
        (_record([0.1, 0.2, float("inf"), 0.4]), {}, "is not finite"),
        (_record([0.1, 0.2, 0.3]), {}, "its column 'boxes' has 3 numbers for 1 objects; it must have 4"),
        (_record([0.1, 0.2, 0.3, 0.4] * 2), {}, "its column 'boxes' has 8 numbers for 1 objects; it must have 4"),
        (_record([]), {}, "its column 'boxes' has no value"),
        (_record(boxes=[], labels=[]), {}, "its label 'box_labels' is empty: there is no object in the picture"),
        (_record([0.1, 0.2, 0.3, 0.4], ["blue"]), {}, "none of its 1 objects is of the classes red, green"),
        (_record(labels=[7]), {}, "its label 'box_labels' is 7, outside 0 to 1"),
        (_record(labels=[b"\xff"]), {}, "a class name is a line of UTF-8 text"),
        (_record(ymin=0.1, xmin=0.1, ymax=0.4, xmax=0.9), {"box": SIDES}, None),
        (_record(ymin=0.1, xmin=0.1, xmax=0.9), {"box": SIDES}, "it has no column 'ymax'; did you mean"),
        (_record(ymin=0.1, xmin=0.1, ymax="a", xmax=0.9), {"box": SIDES}, "its column 'ymax', which the label"),
        (_record(ymin=0.5, xmin=0.1, ymax=0.4, xmax=0.9), {"box": SIDES}, "'xmin', 'ymax', 'xmax', is upside down"),
    ],
)  # fmt: skip
def test_each_fault_is_found_and_said_and_tensorflow_finds_the_same(
    record: bytes, said: dict[str, Any], fault: str | None
) -> None:
    contract = contract_of(make_boxes.features(), make_boxes.label(**said))
    found = find_fault(record, contract)
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)
    sound = _record(ymin=0.1, xmin=0.1, ymax=0.4, xmax=0.9, height=99, width=99)
    kind = kind_of(sound, contract)
    try:
        all_sound = are_sound(tf.constant([sound, record, sound]), contract, kind).numpy().tolist()
    except tf.errors.InvalidArgumentError:  # of another type than those before it
        assert find_fault(record, contract, kind) is not None
        return
    assert all_sound == [True, find_fault(record, contract, kind) is None, True]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3),
            st.lists(st.sampled_from([-0.02, -0.01, 0.0, 0.3, 0.5, 1.0, 1.01, 1.02, float("nan")]), max_size=12),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_both_ways_to_look_at_records_agree(found: list[tuple[list[str], list[float]]]) -> None:
    contract = contract_of(make_boxes.features(), make_boxes.label())
    kind = kind_of(_record(), contract)
    records = [_record(numbers, labels) for labels, numbers in found]
    expected = [find_fault(record, contract, kind) is None for record in records]
    assert are_sound(tf.constant(records), contract, kind).numpy().tolist() == expected


@pytest.mark.parametrize(
    ("said", "diagnostic"),
    [
        ({"units": "pixels"}, "set `height` and `width` to the columns"),
        ({"units": "pixels", "height": "height"}, "set `height` and `width` to the columns"),
        ({"height": "height", "width": "width"}, "height and width require units: pixels"),
        ({"box": {"top": "a", "left": "b", "bottom": "c"}}, "Field required"),
        ({"box": {"top": "a", "left": "b", "bottom": "c", "right": "a"}}, "columns must be distinct"),
        ({"box": "box_labels"}, "columns must be distinct"),
        ({"loss_weights": {"box": 0}}, "greater than 0"),
        ({"classes": []}, "at least 1 item"),
    ],
)
def test_mistakes_in_the_label_are_said(said: dict[str, Any], diagnostic: str) -> None:
    described = {"kind": "class_and_box", "from": "box_labels", "box": "boxes", "image": "photo"} | said
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Label).validate_python(described)
    assert diagnostic in str(raised.value)
    assert raised.value.error_count() == 1


FILE = """\
name: tiny
data: {examples: data}
features:
  photo: {kind: image, size: [32, 32]}
label: {kind: class_and_box, from: box_labels, box: boxes, image: photo}
hubs:
  net: {handle: modules/net, inputs: {images: photo}}
training: {epochs: 2}
serving: {destination: serving}
"""


def _loaded(folder: Path, old: str, new: str) -> Any:
    (folder / "pipeline.yaml").write_text(FILE.replace(old, new))
    return load(folder / "pipeline.yaml")[0]


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        (
            "image: photo}",
            "image: foto}",
            "label.image",
            "there is no image feature 'foto'; the image features are: photo",
        ),
        ("image: photo}", "image: photo, unit: pixels}", "label.unit", "did you mean 'units'"),
        ("box: boxes", "box: {top: a, left: b, bottom: c}", "label.box.right", "missing"),
        ("box: boxes", "box: [a, b]", "label.box", "should be a valid string"),
        (
            "epochs: 2",
            "epochs: 2, augment: [{crop: 0.1}], cache_views: 3",
            "training.cache_views",
            "crop moves them; leave out one or the other",
        ),
        ("epochs: 2", "epochs: 2, augment: [{mixup: 0.1}]", "training.augment[0]", "mixup mixes labels"),
    ],
)
def test_a_mistake_in_the_pipeline_file_is_said_once(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    with pytest.raises(PipelineFileError) as raised:
        _loaded(tmp_path, old, new)
    (diagnostic,) = raised.value.diagnostics
    assert (diagnostic.key, says in diagnostic.message) == (key, True), diagnostic


def test_views_are_kept_of_images_that_stay_in_their_places_alone(tmp_path: Path) -> None:
    views = "epochs: 2, augment: [{brightness: 0.1}], cache_views: 3"
    assert _loaded(tmp_path, "epochs: 2", views).training.cache_views == 3
    (tmp_path / "padded.yaml").write_text(FILE.replace("epochs: 2", views).replace("32]", "32], fit: pad"))
    with pytest.raises(PipelineFileError) as raised:
        load(tmp_path / "padded.yaml")
    assert "fit: pad of 'photo' moves them" in raised.value.diagnostics[0].message


def test_it_is_judged_by_its_box_first_where_the_file_does_not_say(tmp_path: Path) -> None:
    evaluation = _loaded(tmp_path, "", "").evaluation
    assert evaluation.metrics == ("mean_iou", "accuracy")
    assert evaluation.thresholds.keys() == {"mean_iou"}
