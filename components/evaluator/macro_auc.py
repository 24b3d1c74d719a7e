"""The area under the ROC curve of one class against the rest, averaged over classes, as a Keras metric."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


class MacroAUC(tf.keras.metrics.AUC):
    """Keras' AUC for class indices and a score for each class.

    TFMA has one of its own, which takes some milliseconds for each example and class; this one takes a batch at a time.
    """

    def __init__(self, classes: int, present: Sequence[int], name: str = "auc", **options: Any) -> None:
        """The metric with nothing counted.

        Args:
            classes: How many classes there are.
            present: The indices of those that the examples have; of a class that never occurs there is no curve.
            name: What it is called.
            **options: Keras' own, with which it is made again from its `get_config`.
        """
        self._classes = classes
        self._present = list(present)
        weights = [float(index in self._present) for index in range(classes)]
        super().__init__(
            name=name, num_thresholds=_THRESHOLDS, multi_label=True, num_labels=classes, label_weights=weights
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
        """Counts examples: class indices, [batch] or [batch, 1], and scores, [batch, classes]."""
        truth = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), self._classes)
        return super().update_state(truth, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"classes": self._classes, "present": self._present, "name": self.name, "dtype": self.dtype}


_THRESHOLDS = 1000
