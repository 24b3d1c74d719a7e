"""The specification of Transform."""

import json
from collections.abc import Mapping

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.transform.executor import Executor
from hubline.core.code_digest import code_digest
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.transform import TransformConfig


class TransformSpec(component_spec.ComponentSpec):
    """Examples and their schema in; the graph of TF Transform out."""

    PARAMETERS = {
        name: component_spec.ExecutionParameter(type=str) for name in ("config", "vocabularies", "store", "code")
    }
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph)}


class Transform(base_beam_component.BaseBeamComponent):
    """Computes what the features ask of the training split in one pass, once for each shard, and makes the graph.

    TFX's component of this name has a chain of Beam stages for each statistic, and computes all of them over all data
    every time.
    """

    SPEC_CLASS = TransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        features: Features,
        label: Label,
        vocabularies: Mapping[str, str],
        store: str,
    ) -> None:
        """The step `Transform`.

        Args:
            examples: From ExampleGen.
            schema: Of the raw columns.
            features: What is made of them.
            label: What the model learns.
            vocabularies: The SHA-256 of each vocabulary that is a file, by the feature that has it, as `pin` found it.
            store: A folder outside the artifacts, where the statistics of each shard are kept for later runs.
        """
        spec = TransformSpec(
            examples=examples,
            schema=schema,
            config=TransformConfig(features=features, label=label).to_property(),
            vocabularies=json.dumps(dict(vocabularies), sort_keys=True),
            store=store,
            code=code_digest("hubline.components.transform.executor"),
            transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
        )
        super().__init__(spec)
