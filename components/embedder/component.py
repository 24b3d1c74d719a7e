"""The specification of Embedder."""

from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components import module_channels as channels
from hubline.components.config.data import BadRecords
from hubline.components.embedder.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features, Label
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.phases import Kept


class EmbedderSpec(component_spec.ComponentSpec):
    """Examples, schema and hub modules in; rows with vectors out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in ("features", "label", "hubs", "kept", "bad_records", "store", "code")
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"rows": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class Embedder(base_component.BaseComponent):
    """Writes a row for each record: less its images, plus what the frozen modules give for it."""

    SPEC_CLASS = EmbedderSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        modules: Mapping[str, types.BaseChannel],
        features: Features,
        label: Label,
        hubs: Hubs,
        model: Model,
        training: Training,
        bad_records: BadRecords,
        store: str,
        backbones: Backbones,
        needs_pictures: bool = False,
    ) -> None:
        """The step `Embedder`.

        Args:
            examples: From ExampleGen.
            schema: Of the raw columns.
            modules: From the HubModules, by name.
            features: What feeds them, and the backbones.
            label: Whose masks are looked at, where it is one of pixels.
            hubs: How.
            model: Says which modules stay as they are.
            training: Says which images are changed.
            bad_records: What becomes of images that do not decode.
            store: A folder outside the artifacts, where the rows of each shard are kept for later runs.
            backbones: Those that are no hub modules: beside one, nothing is fed what is kept.
            needs_pictures: Whether the label is learned from pictures alone, so that vectors are of no use.
        """
        spec = channels.spec_with(EmbedderSpec, modules)(
            examples=examples,
            schema=schema,
            **channels.inputs(modules),
            features=dump_sections(Features, features),
            label=label.to_property() if label.masks else "",
            hubs=dump_sections(Hubs, hubs),
            kept=Kept.of(model, training, backbones, needs_pictures).to_property(),
            bad_records=bad_records.to_property(),
            store=store,
            code=code_digest("hubline.components.embedder.executor"),
            rows=types.Channel(type=standard_artifacts.Examples),
        )
        super().__init__(spec)
