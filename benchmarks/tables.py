"""`hubline init` on tables and images, without edits, compared with careful scikit-learn models on the same splits.

Each table is a CSV file: those that scikit-learn ships, and those in the folder of data sets (`HUBLINE_DATA`), if it
exists. `hubline init` converts it and writes the pipeline file, which runs as it is. The other side is the best of
three models on the validation split: a linear one, a neural network and gradient-boosted trees, each with scaled
numbers, medians for missing ones, and one-hot categories. Images, one folder per class, are learned by LeNet-5
(`--backbone lenet5`); the other side is the best of a linear model, a neural network and a support vector machine on
the same pixels. Both are measured on the test split, in percent: accuracy, or R² for quantities. Each round splits the
records anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.harness import ROOT, Bench, fresh
from benchmarks.results import Row, at_least

DATA = Path(os.environ.get("HUBLINE_DATA", ROOT.parent / "shared" / "data"))
PACKAGED = {name: "target" for name in ("iris", "wine", "breast_cancer", "digits", "diabetes")}
"""Label columns of the tables that scikit-learn ships."""
SHARED = (
    ("penguin", "penguin/labelled/*.csv", "species"),
    ("housing, the value", "california_housing/housing.csv", "median_house_value"),
    ("housing, the place", "california_housing/housing.csv", "ocean_proximity"),
    ("taxi, the payment", "chicago_taxi/data.csv", "payment_type"),
    ("taxi, the fare", "chicago_taxi/data.csv", "fare"),
)
"""Names, files and label columns of tables in the folder of data sets."""


PICTURES = (
    ("digits, the pictures", "sklearn:digits"),
    ("clothing, the photos", str(DATA / "clothing" / "train")),
)
"""Names and sources of images, which `--backbone lenet5` learns."""


def measure(bench: Bench) -> Iterator[Row]:
    """A score per data set."""
    folder = fresh("tables")
    tables = [(name, f"sklearn:{name}", label) for name, label in PACKAGED.items()]
    tables += [(name, str(path), label) for name, files, label in SHARED for path in sorted(DATA.glob(files))[:1]]
    pictures = [(name, source) for name, source in PICTURES if source.startswith("sklearn:") or Path(source).is_dir()]
    only = os.environ.get("TABLES")
    for name, source, label in tables:
        if not only or name in only.split(";"):
            yield _compare(bench, folder, name, source, label)
    for name, source in pictures:
        if not only or name in only.split(";"):
            yield _compare(bench, folder, name, source, "label", of_pictures=True)


def _compare(bench: Bench, folder: Path, name: str, source: str, label: str, of_pictures: bool = False) -> Row:
    """The mean scores of both sides over all rounds."""
    stock = "benchmarks.stock.pictures" if of_pictures else "benchmarks.stock.tables"
    scores: list[tuple[float, float]] = []
    for number in range(bench.rounds):
        place = folder / f"{name.replace(', the ', '-')}-{number}"
        data, file = str(place / ("images" if of_pictures else "table.csv")), str(place / "pipeline.yaml")
        if of_pictures:
            bench.prepare(f"{stock}:write_folders", source=source, folder=data, salt=number)
        else:
            bench.prepare(f"{stock}:write_csv", source=source, csv=data, salt=number)
        network = {"backbone": "lenet5"} if of_pictures else {}
        bench.prepare("benchmarks.ours:suggest", data=data, label=label, file=file, **network)
        ours = bench.run(f"Hubline, {name}", "benchmarks.ours:run", file=file, root=f"{place}/root")
        other = bench.run(f"scikit-learn, {name}", f"{stock}:score", file=file, trained=f"{place}/root")
        metric = "accuracy" if "accuracy" in ours.figures else "r2"
        scores.append((100 * ours.figures[metric], 100 * other.figures["score"]))
    this, that = (mean(values) for values in zip(*scores, strict=True))
    return Row(name, this, "scikit-learn", that, "%", at_least(0.98))
