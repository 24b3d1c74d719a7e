"""The specification of CuratedSchema."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.adapters.tfx import ImportSchemaGenExecutor


class CuratedSchemaSpec(component_spec.ComponentSpec):
    """A file in; a Schema artifact out."""

    PARAMETERS = {
        "schema_file": component_spec.ExecutionParameter(type=str),
        "digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict = {}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class CuratedSchema(base_component.BaseComponent):
    """TFX's ImportSchemaGen, which caches on the path alone, with the file's content in its key."""

    SPEC_CLASS = CuratedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ImportSchemaGenExecutor)

    def __init__(self, schema_file: str, digest: str) -> None:
        """The step `SchemaGen`.

        Args:
            schema_file: A schema.pbtxt of TensorFlow Metadata.
            digest: The SHA-256 of its content, as `pin` found it.
        """
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(CuratedSchemaSpec(schema_file=schema_file, digest=digest, schema=schema))
        self.with_id("SchemaGen")
