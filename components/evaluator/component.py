"""The specification of Evaluator."""

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.artifacts.pins import ServedVersion
from hubline.components.config.evaluation import Evaluation
from hubline.components.evaluator.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features, Label


class EvaluatorSpec(component_spec.ComponentSpec):
    """Examples, rows, schema and model in; an evaluation and a blessing out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in ("evaluation_config", "label", "features", "serving", "code")
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "rows": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
    }
    OUTPUTS = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Compares a model on the test split with thresholds and with the version that serves."""

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        rows: types.BaseChannel,
        schema: types.BaseChannel,
        model: types.BaseChannel,
        evaluation: Evaluation,
        label: Label,
        features: Features,
        serving: ServedVersion | None,
    ) -> None:
        """The step `Evaluator`.

        Args:
            examples: From ExampleGen; only the test split is read.
            rows: From Embedder, which spare the frozen modules.
            schema: Of the raw columns.
            model: From Trainer.
            evaluation: Metrics and thresholds.
            label: What is true of a record.
            features: Where the label is one of pixels, how its picture is made to fit.
            serving: The version that serves, if any.
        """
        spec = EvaluatorSpec(
            examples=examples,
            rows=rows,
            schema=schema,
            model=model,
            evaluation_config=evaluation.to_property(),
            label=label.to_property(),
            features=dump_sections(Features, features if label.masks else {}),
            serving=serving.to_property() if serving else "",
            code=code_digest("hubline.components.evaluator.executor"),
            evaluation=types.Channel(type=standard_artifacts.ModelEvaluation),
            blessing=types.Channel(type=standard_artifacts.ModelBlessing),
        )
        super().__init__(spec)
