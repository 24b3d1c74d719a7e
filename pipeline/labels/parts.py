"""The rules of each kind of label, by the kind's name."""

from hubline.pipeline.labels import class_and_box, pixels
from hubline.pipeline.labels.label import LabelRules
from hubline.preprocessing.labels.parts import LabelParts

RULES = LabelParts[LabelRules](
    "rules of the pipeline file, in pipeline/labels",
    {
        "class": LabelRules(),
        "binary": LabelRules(),
        "multilabel": LabelRules(),
        "regression": LabelRules(),
        "class_and_box": class_and_box.RULES,
        "pixels": pixels.RULES,
    },
)
