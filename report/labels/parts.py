"""The report's summary of predictions for each kind of label, by the kind's name."""

from collections.abc import Callable
from functools import partial

from hubline.preprocessing.labels.parts import LabelParts
from hubline.report.labels import class_and_box, classes, multilabel, pixels, regression
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import Predictions

SUMMARIES = LabelParts[Callable[[EvaluationFiles, int], Predictions]](
    "report, in report/labels",
    {
        "class": classes.summarize,
        "binary": partial(classes.summarize, decided=True),
        "multilabel": multilabel.summarize,
        "regression": regression.summarize,
        "class_and_box": class_and_box.summarize,
        "pixels": pixels.summarize,
    },
)
"""Functions that summarize the predictions of an evaluation in one pass and bounded memory. The second argument limits
the number of samples, which have no images yet."""
