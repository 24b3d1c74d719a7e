"""The specification of Trainer."""

from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components import module_channels as channels
from hubline.components.trainer.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.core.config_base import dump_sections
from hubline.preprocessing.config import Features, Label
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


class TrainerSpec(component_spec.ComponentSpec):
    """Examples, rows, schema, transform graph, hub modules and backbones in; a model and its training logs out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str)
        for name in ("features", "label", "hubs", "backbones", "model_config", "training", "checkpoints", "code")
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "rows": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph),
    }
    OUTPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """Trains backbone and head, and exports a SavedModel with the whole preprocessing in it."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        rows: types.BaseChannel,
        schema: types.BaseChannel,
        transform_graph: types.BaseChannel,
        modules: Mapping[str, types.BaseChannel],
        features: Features,
        label: Label,
        hubs: Hubs,
        backbones: Backbones,
        model: Model,
        training: Training,
        checkpoints: str,
    ) -> None:
        """The step `Trainer`.

        Args:
            examples: From ExampleGen.
            rows: From Embedder.
            schema: Of the raw columns.
            transform_graph: From Transform.
            modules: From the HubModules and the Backbones, by name.
            features: What the model sees.
            label: What it learns.
            hubs: What each module is fed.
            backbones: What each backbone is, and what it is fed.
            model: What stands on them.
            training: How it is trained.
            checkpoints: A folder outside the artifacts, which TFX deletes when a step fails.
        """
        spec = channels.spec_with(TrainerSpec, modules)(
            examples=examples,
            rows=rows,
            schema=schema,
            transform_graph=transform_graph,
            **channels.inputs(modules),
            features=dump_sections(Features, features),
            label=label.to_property(),
            hubs=dump_sections(Hubs, hubs),
            backbones=dump_sections(Backbones, backbones),
            model_config=model.to_property(),
            training=training.to_property(),
            checkpoints=checkpoints,
            code=code_digest("hubline.components.trainer.executor"),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec)
