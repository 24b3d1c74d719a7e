"""Columns and a number: `examples/housing` beside scikit-learn's plain linear regression on the same rows.

The regression is fitted to the records of Hubline's training split: the eight numbers as they are, medians where
bedrooms are missing, and the five sorts of place one-hot. Both are asked for the median house value of the records of
the test split, in dollars. Where the data set is not there (`HUBLINE_DATA` names the folder of data sets), nothing is
measured.
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
