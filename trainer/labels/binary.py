"""Training on label `binary`: two classes, learned like any classes, and a threshold between them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hubline.core.lazy_import import tf
from hubline.trainer.class_weights import OneClass
from hubline.trainer.labels.classes import AVERAGES, BY_CLASS, Classes
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.labels.threshold import best_threshold
from hubline.trainer.task import LABEL, SCORE, SCORES, Task

if TYPE_CHECKING:
    import tensorflow_transform as tft

    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.labels.binary import BinaryLabel
    from hubline.trainer.inputs import Tensors
    from hubline.trainer.metric_names import MetricName


class TwoClasses(Classes):
    """Predicts the second class from a score on, or the class with the higher score."""

    def __init__(self, names: Sequence[str], threshold: float | None = None, maximize: str | None = None) -> None:
        """Args:
        names: The two class names.
        threshold: Score of the second class from which it is predicted; None for the higher score.
        maximize: The metric that decides on a threshold once the model is trained, if any.
        """
        super().__init__(names)
        self._names = tf.constant(list(names))
        self.threshold, self._maximize = threshold, maximize

    def predictions(self, scores: tf.Tensor) -> tf.Tensor:
        """Scores followed by decisions, float32 [batch, 4]."""
        return tf.concat([scores, tf.one_hot(self._decisions(scores), 2)], axis=1)

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """As for classes, with the class that is decided on."""
        answer = super().answer(outputs)
        if self.threshold is None:
            return answer
        decisions = self._decisions(answer[SCORES])
        return answer | {
            LABEL: tf.gather(self._names, decisions),
            SCORE: tf.gather(answer[SCORES], decisions, batch_dims=1),
        }

    def on_device(self, outputs: tf.Tensor) -> Tensors:
        """Without the score of the decision, which jumps where the scores of a TFLite model differ a little."""
        answer = super().on_device(outputs)
        return answer if self.threshold is None else {SCORES: answer[SCORES]}

    def decided(self, compared: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> tuple[Task, str | None]:
        if self._maximize is None:
            return self, None
        pairs = [self.comparable(target, outputs) for target, outputs in compared]
        true = np.concatenate([np.reshape(target, -1) for target, _ in pairs]) == 1
        scores = np.concatenate([predictions[:, 1] for _, predictions in pairs])
        task = copy.copy(self)
        task.threshold, text = best_threshold(true, scores, self._maximize, self.class_names[1])
        return task, text

    def _decisions(self, scores: tf.Tensor) -> tf.Tensor:
        """Class indices, int64 [batch]."""
        if self.threshold is None:
            return tf.argmax(scores, axis=1)
        return tf.cast(scores[:, 1] >= self.threshold, tf.int64)


def _task(label: BinaryLabel, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    given = label.threshold
    names = label.class_names(transform)
    return TwoClasses(names, given) if isinstance(given, float | None) else TwoClasses(names, maximize=given.maximize)


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.classification import of_one_class

    return of_one_class(metric, classes, positive=1)


TRAINING = LabelTraining(
    metrics=("accuracy", "cross_entropy", "auc", "pr_auc", "precision", "recall", "f1", *AVERAGES, *BY_CLASS),
    training_metrics=("accuracy",),
    keras_metric=_keras_metric,
    task=_task,
    losses=("cross_entropy", "focal"),
    class_weighting=OneClass,
)
