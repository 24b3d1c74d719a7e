"""scikit-learn's linear regression on the records that a run of Hubline ingested."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.harness import newest
from hubline.pipeline.load import load


def regress(file: str, trained: str) -> dict[str, Any]:
    """Fits the training split in the root `trained`; the figure `rmse` is for the test split."""
    config, _ = load(Path(file))
    (label,) = config.label.columns
    examples = newest(trained, "ExampleGen", "examples")
    train, test = (rows(examples / f"Split-{split}") for split in ("train", "test"))
    texts = [column for column in train if train[column].dtype == object]
    numbers = [column for column in train if column not in (label, *texts)]
    prepared = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), texts), (SimpleImputer(strategy="median"), numbers)
    )
    model = make_pipeline(prepared, LinearRegression()).fit(train, train[label])
    return {"figures": {"rmse": float(np.sqrt(mean_squared_error(test[label], model.predict(test))))}}


def rows(folder: Path) -> pd.DataFrame:
    """The records in a folder, a row each."""
    records = tf.data.TFRecordDataset(sorted(map(str, folder.iterdir()))).as_numpy_iterator()
    return pd.DataFrame([_row(tf.train.Example.FromString(record)) for record in records])


def _row(example: tf.train.Example) -> dict[str, Any]:
    columns = {name: getattr(each, each.WhichOneof("kind")).value for name, each in example.features.feature.items()}
    return {name: values[0] for name, values in columns.items() if values}
