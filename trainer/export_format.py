"""The signatures of an exported model, and the files next to its SavedModel."""

import json

from hubline.core import storage

SERVING = "serving_default"
"""Signature over serialized tf.Examples, `examples`: string of shape [batch]."""

PREDICT = "predict"
"""Signature over raw columns by their `input_names`, for example encoded images: string of shape [batch]. Lists have
the shape [batch, n]; shorter lists are padded at the end with the value that stands for a missing one (see
`as_parsed`). The outputs of both signatures are those of the `Task`."""

CLASSIFY, REGRESS = "classify", "regress"
"""Signatures for TensorFlow Serving's Classify and Regress requests, over serialized tf.Examples, `inputs`: string of
shape [batch]. The outputs of `CLASSIFY` are `classes`, string, and `scores`, float32, both of shape [batch, classes];
the one of `REGRESS` is `outputs`, float32 of shape [batch, 1]. A model has the signature that its label allows, or
neither."""

COLUMNS = "assets.extra/columns.json"
"""File in the SavedModel folder, in the subfolder reserved for others: the name of each raw column in `PREDICT`."""

HEAD, RECIPE = "assets.extra/head", "assets.extra/vectors.sha256"
"""In the same subfolder: a SavedModel that predicts from rows with cached vectors, through its signature `SERVING`, and
a file that identifies those vectors."""


def names_of(path: str) -> dict[str, str]:
    """Name of each raw column in the signature `PREDICT` of an exported model; empty for an older export."""
    if not storage.exists(f"{path}/{COLUMNS}"):
        return {}
    with storage.open_binary(f"{path}/{COLUMNS}") as text:
        return json.load(text)


def recipe_of(path: str) -> str | None:
    """Digest of the cached vectors that an exported model can predict from; None if it takes images only."""
    file = f"{path}/{RECIPE}"
    if not storage.exists(file):
        return None
    with storage.open_binary(file) as text:
        return text.read().decode()
