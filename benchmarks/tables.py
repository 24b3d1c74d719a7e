"""`hubline init` on tables, without edits, compared with careful scikit-learn models on the same splits.

Each table is a CSV file: those that scikit-learn ships, and those in the folder of data sets (`HUBLINE_DATA`), if it
exists. `hubline init` converts it and writes the pipeline file, which runs as it is. The other side is the best of
three models on the validation split: a linear one, a neural network and gradient-boosted trees, each with scaled
numbers, medians for missing ones, and one-hot categories. Both are measured on the test split, in percent: accuracy,
or R² for quantities. Each round splits the records anew.
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


def measure(bench: Bench) -> Iterator[Row]:
    """A score per table."""
    folder = fresh("tables")
    tables = [(name, f"sklearn:{name}", label) for name, label in PACKAGED.items()]
    tables += [(name, str(path), label) for name, files, label in SHARED for path in sorted(DATA.glob(files))[:1]]
    if only := os.environ.get("TABLES"):
        tables = [table for table in tables if table[0] in only.split(";")]
    for name, source, label in tables:
        scores: list[tuple[float, float]] = []
        for number in range(bench.rounds):
            place = folder / f"{name.replace(', the ', '-')}-{number}"
            csv = {"source": source, "csv": str(place / "table.csv"), "salt": number}
            bench.prepare("benchmarks.stock.tables:write_csv", **csv)
            file = str(place / "pipeline.yaml")
            bench.prepare("benchmarks.ours:suggest", csv=csv["csv"], label=label, file=file)
            ours = bench.run(f"Hubline, {name}", "benchmarks.ours:run", file=file, root=f"{place}/root")
            other = bench.run(
                f"scikit-learn, {name}", "benchmarks.stock.tables:score", file=file, trained=f"{place}/root"
            )
            metric = "accuracy" if "accuracy" in ours.figures else "r2"
            scores.append((100 * ours.figures[metric], 100 * other.figures["score"]))
        this, that = (mean(values) for values in zip(*scores, strict=True))
        yield Row(name, this, "scikit-learn", that, "%", at_least(0.98))
