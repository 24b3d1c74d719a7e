"""The tables of the parts of label kinds."""

from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.example_gen.label_contracts import CONTRACTS
from hubline.components.predictor.label_answers import ANSWERS
from hubline.pipeline.labels.parts import RULES
from hubline.preprocessing.labels.parts import LabelParts
from hubline.report.labels.parts import SUMMARIES
from hubline.trainer.labels.parts import TRAINING

PARTS: tuple[LabelParts, ...] = (TRAINING, CONTRACTS, EVALUATION, SUMMARIES, ANSWERS, RULES)
