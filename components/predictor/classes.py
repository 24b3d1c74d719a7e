"""The top classes of a classifier, by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hubline.core.errors import UserError

_TOP = 5
_SUM_TOLERANCE = 0.01  # for 16-bit probabilities


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Converts class scores, shape [classes], to float32 probabilities: with a softmax, unless they sum to 1
    already."""
    scores = scores.astype(np.float64)
    if (scores >= 0).all() and abs(scores.sum() - 1) < _SUM_TOLERANCE:
        return scores.astype(np.float32)
    powers = np.exp(scores - scores.max())
    return (powers / powers.sum()).astype(np.float32)


class Classifier:
    """Interprets the output that has one score per class."""

    def __init__(self, labels: Sequence[str], top: int | None) -> None:
        """Args:
        labels: Class names; may be empty.
        top: Number of top classes to return; None for the default.
        """
        self._labels = labels
        self._top = top or _TOP

    def output(self, ranks: Mapping[str, int]) -> str:
        """Name of the output with the class scores.

        Args:
            ranks: Rank of each output for a single item.

        Raises:
            UserError: if no output has rank 1, or several have.
        """
        vectors = [name for name, rank in ranks.items() if rank == 1]
        if len(vectors) != 1:
            found = f"several: {', '.join(sorted(vectors))}" if vectors else f"none among {', '.join(sorted(ranks))}"
            raise UserError(
                f"classification needs one output with a number per class, but there are {found}; choose one"
            )
        return vectors[0]

    def check(self, name: str, classes: int) -> None:
        """Raises a UserError if the number of labels differs from the number of classes."""
        if self._labels and len(self._labels) != classes:
            raise UserError(
                f"there are {len(self._labels)} labels, but the module's output '{name}' has {classes} numbers; "
                f"{self._mended(classes)}"
            )

    def _mended(self, classes: int) -> str:
        """Likely cause of a wrong number of labels, and the fix."""
        first, last = self._labels[0], self._labels[-1]
        if len(self._labels) == classes - 1:
            return (
                f"the first label is '{first}': where the module counts a background before it, as many do, put a line "
                "such as background at the top of the file"
            )
        if len(self._labels) == classes + 1:
            return (
                f"the first label is '{first}' and the last '{last}': where one of them is a heading, an empty line or "
                "a background that the module does not count, take that line out"
            )
        return "give a label for each, in the same order, with the background too where the module counts it"

    def json_values(self, scores: np.ndarray) -> dict[str, Any]:
        """`label` and `score` of the best class, and the best classes in `top`, from one item's scores."""
        shares = probabilities(scores)
        best = np.argsort(-shares, kind="stable")[: self._top].tolist()
        top = [{"label": self._name(index), "index": index, "score": float(shares[index])} for index in best]
        return {"label": top[0]["label"], "score": top[0]["score"], "top": top}

    def _name(self, index: int) -> str:
        return self._labels[index] if self._labels else str(index)


def columns(json_values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Converts a `Classifier`'s result to the columns of a tf.Example."""
    top = json_values["top"]
    return {
        "label": np.array([json_values["label"].encode()], object),
        "score": np.array([json_values["score"]], np.float32),
        "top_labels": np.array([one["label"].encode() for one in top], object),
        "top_indices": np.array([one["index"] for one in top]),
        "top_scores": np.array([one["score"] for one in top], np.float32),
    }
