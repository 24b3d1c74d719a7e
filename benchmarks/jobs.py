"""Pipeline files of the benchmarks. The stock pipelines and the plain loops read the same files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT, WORK, Bench
from hubline.pipeline.load import load

DIGITS = ROOT / "examples" / "digits" / "pipeline.yaml"
MODULE = WORK / "data" / "mobilenet"
TRIVIAL_MODULE = WORK / "data" / "mean"


def make_pictures(bench: Bench, count: int, height: int, width: int, shards: int = 8) -> Path:
    """Folder of images, created if missing."""
    folder = WORK / "data" / f"pictures-{count}-{height}x{width}-{shards}"
    if not folder.exists():
        size = {"height": height, "width": width}
        bench.prepare("benchmarks.data:pictures", folder=str(folder), count=count, shards=shards, **size)
    return folder


def make_small_records(bench: Bench, count: int) -> Path:
    """Folder of small records, created if missing."""
    folder = WORK / "data" / f"small-{count}"
    if not folder.exists():
        bench.prepare("benchmarks.data:small_records", folder=str(folder), count=count, shards=8)
    return folder


def make_modules(bench: Bench) -> None:
    """Creates missing hub modules."""
    if not MODULE.exists():
        bench.prepare("benchmarks.data:module", folder=str(MODULE))
    if not TRIVIAL_MODULE.exists():
        bench.prepare("benchmarks.data:trivial_module", folder=str(TRIVIAL_MODULE))


def write(
    folder: Path,
    examples: str,
    module: Path = MODULE,
    size: int = 96,
    split: tuple[int, int, int] = (8, 1, 1),
    hidden: Sequence[int] = (64,),
    fine_tune: bool = False,
    training: Mapping[str, Any] | None = None,
    slices: Sequence[Sequence[str]] = (),
    at_least: float = 0.0,
    tune: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a pipeline file for the records from `data.py`.

    Args:
        folder: Folder of the file, and of the pushed model.
        examples: Glob of the records.
        module: The hub module.
        size: Height and width of its images.
        split: Shares of train, validation and test.
        hidden: Units of the head's hidden layers.
        fine_tune: Whether the module is trained too, from the first epoch on.
        training: Additional keys of `training`, which otherwise has 1 epoch with batches of 32.
        slices: Slice columns of the evaluation.
        at_least: Minimum accuracy for a blessing; changing it makes the Evaluator run again.
        tune: The section `tune`, if any.
    """
    train, validation, test = split
    evaluation = {"metrics": ["accuracy", "cross_entropy", "auc"], "thresholds": {"accuracy": {"at_least": at_least}}}
    sections: dict[str, Any] = {
        "name": "pictures",
        "data": {"examples": examples, "split": {"train": train, "validation": validation, "test": test}},
        "features": {"image": {"kind": "image", "size": [size, size]}},
        "label": {"from": "label", "kind": "class", "classes": ["circle", "square", "triangle", "cross", "stripes"]},
        "hubs": {"module": {"handle": str(module), "inputs": {"images": "image"}}},
        "model": {
            "head": {"hidden": list(hidden), "dropout": 0.2},
            "fine_tune": {"module": {"after_epochs": 0}} if fine_tune else {},
        },
        "training": {"epochs": 1, "batch_size": 32, **(training or {})},
        "evaluation": evaluation | ({"slices": [list(columns) for columns in slices]} if slices else {}),
        "serving": {"destination": "serving"},
    }
    if tune is not None:
        sections["tune"] = dict(tune)
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps(sections, indent=1))  # JSON is YAML
    return path


def digits(folder: Path) -> Path:
    """A copy of the digits example's pipeline file with another serving folder."""
    file, _ = load(DIGITS)
    sections = file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    path = folder / "digits.yaml"
    path.write_text(json.dumps(sections | {"serving": {"destination": "serving"}}, indent=1))
    return path


def make_taxi(bench: Bench, times: int) -> Path:
    """Folder of the taxi trips that TFX ships, several times over; created if missing."""
    folder = WORK / "data" / f"taxi-{times}"
    if not folder.exists():
        bench.prepare("benchmarks.data:taxi", folder=str(folder), times=times)
    return folder


def taxi_example(folder: Path, data: Path) -> Path:
    """A copy of the taxi example's pipeline file with other data and another serving folder."""
    return _example("taxi", folder, data)


def taxi_by_default(bench: Bench, folder: Path, data: Path, seeds: Sequence[int]) -> list[Path]:
    """Pipeline files for the taxi trips as `hubline init` writes them, except for label, metrics and seed."""
    suggested = folder / "init.yaml"
    bench.prepare("benchmarks.data:profiled_taxi", data=str(data), file=str(suggested))
    file, _ = load(suggested)
    sections = file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    sections["label"] = {"kind": "binary", "where": "tips > 0.2 * fare"}
    sections["evaluation"] = {"metrics": ["auc"]}
    sections["serving"] = {"destination": "serving", "push": False}
    paths = [folder / f"defaults-{seed}.yaml" for seed in seeds]
    for seed, path in zip(seeds, paths, strict=True):
        path.write_text(json.dumps(sections | {"training": sections["training"] | {"seed": seed}}, indent=1))
    return paths


def housing_example(folder: Path, data: Path) -> Path:
    """A copy of the housing example's pipeline file with other data and another serving folder."""
    return _example("housing", folder, data)


def photographs_example(folder: Path, data: Path) -> Path:
    """A copy of the photographs example's pipeline file, with its module in `modules/upright`."""
    return _example("photographs", folder, data, hubs={"upright": {"handle": "modules/upright"}})


def photographs_by_default(folder: Path, data: Path, seed: int) -> Path:
    """A pipeline file for the photographs with nothing but defaults: a head on the frozen module in `modules/upright`,
    trained until the validation split no longer improves."""
    sections = {
        "name": "photographs",
        "data": {"examples": f"{data}/*.tfrecord"},
        "features": {"photo": {"kind": "image", "from": "image", "size": [64, 64]}},
        "label": {"from": "label", "kind": "class"},
        "hubs": {"upright": {"handle": "modules/upright", "inputs": {"images": "photo"}}},
        "training": {"epochs": 100, "early_stopping": 5, "seed": seed},
        "serving": {"destination": "serving", "push": False},
    }
    path = folder / f"defaults-{seed}.yaml"
    path.write_text(json.dumps(sections, indent=1))
    return path


def _example(name: str, folder: Path, data: Path, hubs: Mapping[str, dict] | None = None) -> Path:
    file, _ = load(ROOT / "examples" / name / "pipeline.yaml")
    sections = file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    sections["data"]["examples"] = f"{data}/*.tfrecord"
    for hub, changes in (hubs or {}).items():
        sections["hubs"][hub] |= changes
    path = folder / "pipeline.yaml"
    path.write_text(json.dumps(sections | {"serving": {"destination": "serving"}}, indent=1))
    return path


def taxi_columns(folder: Path, data: Path) -> Path:
    """A pipeline file with exactly the features of TFX's own taxi example."""
    numbers = {name: {"kind": "numeric", "normalize": "z_score"} for name in ("trip_miles", "fare", "trip_seconds")}
    words = {
        name: {"kind": "categorical", "vocabulary": {"top_k": 1000}, "oov_buckets": 10}
        for name in ("payment_type", "company")
    }
    places = [f"{end}_{axis}" for end in ("pickup", "dropoff") for axis in ("latitude", "longitude")]
    buckets = {name: {"kind": "bucketized", "buckets": 10} for name in places}
    small = {"trip_start_hour": 24, "trip_start_day": 8, "trip_start_month": 13}
    few = {name: {"kind": "categorical", "identity": size} for name, size in small.items()}
    sections = {
        "name": "taxi",
        "data": {"examples": f"{data}/*.tfrecord"},
        "features": numbers | words | buckets | few,
        "label": {"kind": "binary", "where": "tips > 0.2 * fare"},
        "training": {"epochs": 1},
        "serving": {"destination": "serving"},
    }
    path = folder / "columns.yaml"
    path.write_text(json.dumps(sections, indent=1))
    return path
