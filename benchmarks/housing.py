"""Regression on columns: `examples/housing` compared with scikit-learn's linear regression on the same rows.

The linear regression is fitted to the records of Hubline's training split: the eight numbers unchanged, medians for
missing bedrooms, and the five types of location one-hot. Both predict the median house value for the records of the
test split, in dollars. Skipped if the data set is missing (`HUBLINE_DATA` names the folder of data sets).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import ROOT, Bench, fresh
from benchmarks.results import Row, at_most

_DATA = Path(os.environ.get("HUBLINE_DATA", ROOT.parent / "shared" / "data")) / "california_housing" / "housing.csv"


def measure(bench: Bench) -> Iterator[Row]:
    """Both errors."""
    if not _DATA.exists():
        return
    folder = fresh("housing")
    bench.prepare("benchmarks.data:housing", csv=str(_DATA), folder=str(folder / "data"))
    file = str(jobs.housing_example(folder, folder / "data"))
    ours = bench.run("Hubline, examples/housing", "benchmarks.ours:run", file=file, root=f"{folder}/root")
    other = bench.run("scikit-learn", "benchmarks.stock.housing:regress", file=file, trained=f"{folder}/root")
    yield Row("RMSE of housing", ours.figures["rmse"], "linear", other.figures["rmse"], "dollars", at_most(0.9))
