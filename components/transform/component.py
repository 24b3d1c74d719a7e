"""The specification of Transform."""

from collections.abc import Mapping

from tfx import types
from tfx.components.transform import component
from tfx.dsl.components.base import executor_spec

from components.code import code_digest
from components.transform.executor import STORE, VOCABULARIES, Executor
from preprocessing import transform
from preprocessing.config import Features, Label
from preprocessing.transform import TransformConfig


class Transform(component.Transform):
    """TFX's, with an executor that computes the statistics in one pass, and once for each shard.

    TFX's own has a chain of Beam stages for each statistic, and computes all of them over all data every time.
    """

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
        code = code_digest("components.transform.executor")
        config = TransformConfig(features=features, label=label, code=code)
        super().__init__(
            examples=examples,
            schema=schema,
            preprocessing_fn=f"{transform.__name__}.preprocessing_fn",
            custom_config=config.to_custom_config() | {STORE: store, VOCABULARIES: dict(vocabularies)},
            materialize=False,
            disable_statistics=True,
        )
