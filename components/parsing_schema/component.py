"""The specification of ParsingSchema."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts

from hubline.components.parsing_schema.executor import Executor
from hubline.core.code_digest import code_digest


class ParsingSchemaSpec(component_spec.ComponentSpec):
    """A schema in; the same without shapes out."""

    PARAMETERS = {"code": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}
    OUTPUTS = {"parsing_schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class ParsingSchema(base_component.BaseComponent):
    """Lets a column be missing from a record, as it may be where the model serves.

    It is a step of its own, behind DataGate, so that what is trained is cached on the schema alone: all that DataGate
    is cached on, such as the limits of drift, would train anew what it changes nothing about.
    """

    SPEC_CLASS = ParsingSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, schema: types.BaseChannel) -> None:
        """The step `ParsingSchema`.

        Args:
            schema: Of the raw columns.
        """
        spec = ParsingSchemaSpec(
            schema=schema,
            code=code_digest("hubline.components.parsing_schema.executor"),
            parsing_schema=types.Channel(type=standard_artifacts.Schema),
        )
        super().__init__(spec)
