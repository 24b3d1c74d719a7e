"""Training on label `binary`: two classes, learned like any classes."""

from hubline.trainer.class_weights import OneClass
from hubline.trainer.labels.classes import task
from hubline.trainer.labels.label import LabelTraining

TRAINING = LabelTraining(
    metrics=("accuracy", "cross_entropy", "auc", "precision", "recall", "f1"),
    training_metrics=("accuracy",),
    task=task,
    losses=("cross_entropy", "focal"),
    class_weighting=OneClass,
)
