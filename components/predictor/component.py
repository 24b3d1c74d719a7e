"""The specification of Predictor."""

from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.artifacts.pins import PinsToInfer
from hubline.components import module_channels as channels
from hubline.components.config.data import BadRecords
from hubline.components.config.predictions import Predictions
from hubline.components.dashboard.artifacts import Metrics
from hubline.components.predictor.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features, FeaturesToInfer
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.trainer.config.hubs import Hubs


class PredictorSpec(component_spec.ComponentSpec):
    """Examples, and a hub module or the path of a pushed model, in; predictions, and their number and quality, out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in (
            "features", "hubs", "model", "label", "written", "labels", "bad_records", "pushed", "store", "code",
        )
    }  # fmt: skip
    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "predictions": component_spec.ChannelParameter(type=standard_artifacts.InferenceResult),
        "metrics": component_spec.ChannelParameter(type=Metrics),
    }


class Predictor(base_beam_component.BaseBeamComponent):
    """Asks a model about every record, keeps what it says of each shard, and pushes a new version of the whole."""

    SPEC_CLASS = PredictorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        modules: Mapping[str, types.BaseChannel],
        features: Features,
        hubs: Hubs,
        label: ClassLabel | None,
        predictions: Predictions,
        bad_records: BadRecords,
        pins: PinsToInfer,
        store: str,
    ) -> None:
        """The step `Predictor`.

        Args:
            examples: From ExampleGen.
            modules: From the HubModule, by name; none where a pushed model is asked.
            features: What feeds it.
            hubs: How.
            label: The known class of each record, if any.
            predictions: What is written, and where to.
            bad_records: What becomes of records that cannot be predicted on.
            pins: The pushed model that is asked, and the newest version of the predictions; where that is taken away,
                the step runs again.
            store: A folder outside the artifacts, where what is said of each shard is kept for later runs.
        """
        spec = channels.spec_with(PredictorSpec, modules)(
            examples=examples,
            **channels.inputs(modules),
            features=dump_sections(FeaturesToInfer, features),
            hubs=dump_sections(Hubs, hubs),
            model=pins.model.to_property() if pins.model else "",
            label=label.to_property() if label else "",
            written=predictions.to_property(),
            labels=pins.labels or "",
            bad_records=bad_records.to_property(),
            pushed=pins.pushed.to_property() if pins.pushed else "",
            store=store,
            code=code_digest("hubline.components.predictor.executor"),
            predictions=types.Channel(type=standard_artifacts.InferenceResult),
            metrics=types.Channel(type=Metrics),
        )
        super().__init__(spec)
