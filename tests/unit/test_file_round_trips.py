"""Whole pipeline files, with a generated section in each place, on their way to the steps: through run parameters, the
package and execution properties."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubline.core.config_base import Section, dump_sections, read_sections
from hubline.pipeline.config import FILES, AnyFile
from hubline.pipeline.kubeflow.escaping import argument, filled_in
from hubline.pipeline.kubeflow.parameter_definitions import dumped, with_changes
from hubline.pipeline.kubeflow.run_parameters import check
from hubline.pipeline.load import load
from hubline.pipeline.validate import InvalidFile, validate
from tests.support.sections import members, written

FOLDER = "/files of {a} team"
TRAIN = {
    "name": "tiny",
    "data": {"examples": "data"},
    "features": {"photo": {"kind": "image", "size": [224, 224]}, "fare": {"kind": "numeric"}},
    "label": {"kind": "class", "from": "label"},
    "hubs": {"net": {"handle": "net", "inputs": {"images": "photo"}}},
    "training": {"epochs": 1},
    "serving": {"destination": "serving"},
    "kubeflow": {"state": "gs://bucket/state", "every_step": {"volumes": [{"claim": "work", "path": "/mnt"}]}},
}
INFER = {
    "task": "infer",
    "name": "tiny",
    "data": {"examples": "data"},
    "features": {"photo": {"kind": "image", "size": [224, 224]}},
    "hubs": {"net": {"handle": "net", "inputs": {"images": "photo"}}},
    "predictions": {"destination": "predictions"},
}
BASES = {"train": TRAIN, "infer": INFER}


# How a generated section is made to fit into the file, by the key where it is.


def with_feature(file: dict[str, Any], feature: dict[str, Any]) -> None:
    file["features"]["new"] = feature
    encode = feature.get("encode")
    if feature["kind"] in ("image", "video", "audio") or (feature["kind"] == "text" and not feature.get("bag")):
        file["hubs"]["net"]["inputs"] = {"images": "photo", "more": "new"}
    elif file.get("task") == "infer":
        file |= {"hubs": {}, "model": {"from": "serving"}}
    elif isinstance(encode, dict) and encode.get("pretrained") is not None:
        encode["pretrained"] = "words"
        file["hubs"]["words"] = {"handle": "words"}


def with_label(file: dict[str, Any], label: dict[str, Any]) -> None:
    file["label"] = label
    if "image" in label:
        label["image"] = "photo"
    if label["kind"] == "pixels":
        del file["features"]["fare"]
        file["hubs"]["net"]["outputs"] = ["block1", "block2"]


def with_hub(file: dict[str, Any], hub: dict[str, Any]) -> None:
    hub["inputs"] = {name: "photo" for name in hub.get("inputs") or {"images": 0}}
    if file.get("task") == "infer":
        file["hubs"] = {"new": hub}
        return
    file["hubs"]["new"] = hub
    if hub.get("role") == "augment":
        hub["inputs"] = {"images": "photo"}
        file["training"]["augment"] = [{"hub": "new"}]
    if hub.get("outputs"):
        del file["hubs"]["net"], file["features"]["fare"]
        file["label"] = {"kind": "pixels", "from": "mask", "image": "photo", "classes": ["a", "b"]}


def with_backbone(file: dict[str, Any], backbone: dict[str, Any]) -> None:
    file["backbones"] = {"new": backbone}
    if "input" in backbone:
        backbone["input"] = "photo"
    else:
        backbone["inputs"] = {name: "photo" for name in backbone["inputs"]}


def with_training(file: dict[str, Any], training: dict[str, Any]) -> None:
    file["training"] = training
    stopping = training.get("early_stopping")
    if isinstance(stopping, dict) and "monitor" in stopping:
        stopping["monitor"] = "val_accuracy"
    training["augment"] = [
        change if isinstance(change, str) else {key: each for key, each in change.items() if key != "hub"}
        for change in training.get("augment", ())
    ]


def with_evaluation(file: dict[str, Any], evaluation: dict[str, Any]) -> None:
    of_class = ("accuracy", "cross_entropy", "auc", "top_3_accuracy")
    if "metrics" in evaluation:
        evaluation["metrics"] = [metric for metric in evaluation["metrics"] if metric in of_class]
    if "thresholds" in evaluation:
        thresholds = evaluation["thresholds"].items()
        evaluation["thresholds"] = {metric: each for metric, each in thresholds if metric in of_class}
    file["evaluation"] = evaluation


def with_model(file: dict[str, Any], model: dict[str, Any]) -> None:
    file["model"] = model
    if "from" in model:
        file["features"] = file["hubs"] = {}
        return
    model.get("head", {}).pop("channels", None)
    if "wide" in model:
        file["features"] |= {name: {"kind": "categorical"} for name in ("a", "x") if name in model["wide"]}
        model["wide"] = [name for name in model["wide"] if name in file["features"]]
    if "fine_tune" in model:
        model["fine_tune"] = dict(zip(["net"], model["fine_tune"].values(), strict=False))


FITTED: Mapping[str, Callable[[dict[str, Any], Any], None]] = {
    "features": with_feature,
    "label": with_label,
    "hubs": with_hub,
    "backbones": with_backbone,
    "training": with_training,
    "evaluation": with_evaluation,
    "model": with_model,
}
PLACES = [
    (task, key, section_type)
    for task, file_type in FILES.items()
    for key, field in file_type.model_fields.items()
    for section_type in members(field.annotation)
]


def generated(task: str, key: str, section_type: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """Contents of valid files with a section of a type at a key."""

    def fitted(section: dict[str, Any]) -> dict[str, Any] | None:
        file = deepcopy(BASES[task])
        FITTED.get(key, lambda file, section: file.update({key: section}))(file, section)
        try:
            validate(file, FOLDER)
        except InvalidFile:
            return None
        return None if any(filled_in(file, by_kubernetes=True)) else file

    return written(section_type).map(fitted).filter(lambda file: file is not None)


FIXED = ("beam", "kubeflow")
"""Sections that the package fixes; overrides of them are rejected."""


def without_kubeflow(file: AnyFile) -> dict[str, Any]:
    return {key: each for key, each in dict(file).items() if key != "kubeflow"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "key", "section_type"), PLACES, ids=[f"{task}-{key}-{each.__name__}" for task, key, each in PLACES]
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_every_section_arrives_at_the_steps_as_it_was_written(
    task: str, key: str, section_type: type[Section], data: st.DataObject
) -> None:
    values = data.draw(generated(task, key, section_type))
    file = validate(values, FOLDER)

    package = json.loads(argument(dumped(file)))
    pinned = with_changes(package, {}, for_cluster=False)
    assert without_kubeflow(pinned) == without_kubeflow(file)
    assert pinned.kubeflow.state == file.kubeflow.state
    assert {each.path for each in pinned.kubeflow.placement("Pin").volumes} <= {
        each.path for each in file.kubeflow.placement("Pin").volumes
    }

    for name, field in type(file).model_fields.items():
        annotation = field.rebuild_annotation()
        section = getattr(file, name)
        if section is not None:
            assert read_sections(annotation, dump_sections(annotation, section)) == section, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "key", "section_type"),
    [place for place in PLACES if place[1] not in FIXED],
    ids=[f"{task}-{key}-{each.__name__}" for task, key, each in PLACES if key not in FIXED],
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_every_section_as_an_override_makes_the_file_that_has_it(
    task: str, key: str, section_type: type[Section], data: st.DataObject
) -> None:
    values = data.draw(generated(task, key, section_type))
    file, base = validate(values, FOLDER), validate(BASES[task], FOLDER)
    changes = {key: each for key, each in values.items() if BASES[task].get(key) != each}

    sent = check(base, {"overrides": changes}, FOLDER, for_cluster=False)
    arrived = json.loads(json.dumps(sent), parse_int=float)  # the KFP API returns every number as a float
    changed = with_changes(json.loads(argument(dumped(base))), arrived, for_cluster=False)
    assert without_kubeflow(changed) == without_kubeflow(file)


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("examples/*/*.yaml")), ids=lambda path: path.stem
)
def test_the_places_are_those_of_the_examples(path: Path) -> None:
    """Guards the tests above: every kind that an example uses is a generated one."""
    file, _ = load(path)
    types = {section_type for task, _, section_type in PLACES if task == file.task}
    sections = [getattr(file, name) for name in type(file).model_fields]
    found = {
        type(each)
        for section in sections
        for each in (section.values() if isinstance(section, dict) else [section])
        if isinstance(each, Section)
    }
    assert found <= types
