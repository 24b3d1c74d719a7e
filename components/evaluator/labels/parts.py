"""The evaluation of each kind of label, by the kind's name."""

from hubline.components.evaluator.labels import binary, class_and_box, classes, multilabel, pixels, regression
from hubline.components.evaluator.labels.label import LabelEvaluation
from hubline.preprocessing.labels.parts import LabelParts

EVALUATION = LabelParts[LabelEvaluation](
    "evaluation, in components/evaluator/labels",
    {
        "class": classes.EVALUATION,
        "binary": binary.EVALUATION,
        "multilabel": multilabel.EVALUATION,
        "regression": regression.EVALUATION,
        "class_and_box": class_and_box.EVALUATION,
        "pixels": pixels.EVALUATION,
    },
)
