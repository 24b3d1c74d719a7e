"""scikit-learn's models on the splits of a run of Hubline."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.harness import newest
from benchmarks.stock.housing import rows
from hubline.pipeline.load import load

_CATEGORIES = 100
"""Maximum number of one-hot categories per column."""


def write_csv(source: str, csv: str, salt: int) -> None:
    """Writes a table as a CSV file.

    Args:
        source: A CSV file, or `sklearn:` and the name of a data set in `sklearn.datasets`.
        csv: The file to write.
        salt: Value of an additional column, which `hubline init` leaves out because it is constant. Records are split
            by a hash of their content, so another value splits them anew.
    """
    library, _, name = source.partition(":")
    table = (
        getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame if library == "sklearn" else pd.read_csv(source)
    )
    Path(csv).parent.mkdir(parents=True, exist_ok=True)
    table.assign(salt=salt).to_csv(csv, index=False)


def score(file: str, trained: str) -> dict[str, Any]:
    """Scores the model that is best on the validation split in the root `trained`; the figure `score` is for the test
    split."""
    config, _ = load(Path(file))
    (label,) = config.label.columns
    examples = newest(trained, "ExampleGen", "examples")
    splits = {split: _decoded(rows(examples / f"Split-{split}")) for split in ("train", "validation", "test")}
    splits = {split: table[table[label].notna()] for split, table in splits.items()}
    inputs = [column for column in splits["train"] if column not in (label, "salt")]
    # A column without values in some split is still a column.
    x, y = (
        {split: table.reindex(columns=inputs) for split, table in splits.items()},
        {split: table[label] for split, table in splits.items()},
    )
    fitted = [model.fit(x["train"], y["train"]) for model in _models(x["train"], config.label.kind == "regression")]
    best = max(fitted, key=lambda model: model.score(x["validation"], y["validation"]))
    return {"figures": {"score": float(best.score(x["test"], y["test"]))}}


def _decoded(table: pd.DataFrame) -> pd.DataFrame:
    """A table with texts for bytes; missing ones stay missing."""
    texts = table.select_dtypes(object).columns
    return table.assign(**{column: table[column].str.decode("utf-8") for column in texts})


def _models(train: pd.DataFrame, is_quantity: bool) -> list[Pipeline]:
    texts = [column for column in train if train[column].dtype == object]
    numbers = [column for column in train if column not in texts]
    words = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_CATEGORIES, sparse_output=False)
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())

    def prepared() -> Any:
        return make_column_transformer((make_pipeline(_Texts(), words), texts), (scaled, numbers))

    if is_quantity:
        alphas = np.logspace(-3, 3, 13)
        network = MLPRegressor((64, 32), early_stopping=True, max_iter=500, random_state=0)
        models = [RidgeCV(alphas), network, HistGradientBoostingRegressor(random_state=0)]
    else:
        network = MLPClassifier(
            (64, 32), alpha=0.01, max_iter=200, random_state=0
        )  # rare classes prevent early stopping
        models = [
            LogisticRegression(max_iter=2000),
            network,
            HistGradientBoostingClassifier(early_stopping=False, random_state=0),
        ]
    return [make_pipeline(prepared(), model) for model in models]


class _Texts(SimpleImputer):
    """Missing texts as a category."""

    def __init__(self) -> None:
        super().__init__(strategy="constant", fill_value="")

    def transform(self, texts: pd.DataFrame) -> Any:
        return super().transform(texts.astype(object)).astype(str)
