"""TFX's own executors that our steps use. Nothing else imports them.

Private: the executors. TFX exports only their components, whose inputs and cache keys differ from those of our steps.

Importing this module imports Beam, TensorFlow Data Validation and TensorFlow Model Analysis, which takes seconds.
"""

from tfx.components.example_validator.executor import Executor as ExampleValidatorExecutor
from tfx.components.schema_gen.executor import Executor as SchemaGenExecutor
from tfx.components.schema_gen.import_schema_gen.executor import Executor as ImportSchemaGenExecutor

__all__ = ["ExampleValidatorExecutor", "ImportSchemaGenExecutor", "SchemaGenExecutor"]
