"""Private parts of TFX that steps use. Nothing else imports them.

TFX's public API is `tfx.v1`; its tutorials on custom components also use `tfx.dsl`, `tfx.proto`, `tfx.types` and
`tfx.utils`, which count as public here.
"""

from tfx.components.evaluator import constants
from tfx.components.example_validator.executor import Executor as ExampleValidatorExecutor
from tfx.components.schema_gen.import_schema_gen.executor import Executor as ImportSchemaGenExecutor
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import Artifact

__all__ = ["ExampleValidatorExecutor", "ImportSchemaGenExecutor", "bless", "mark_as_tf_examples"]
# Private: the executors. TFX exports their components, whose inputs and cache keys are not those of our steps.


def bless(blessing: Artifact, blessed: bool) -> str:
    """Sets the property that TFX's own components know a blessing by, and gives the name of the marker file.

    Private: the names. TFX's Evaluator is the only public way to set them.
    """
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, int(blessed))
    return constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME


def mark_as_tf_examples(examples: Artifact) -> None:
    """Sets the property that tells TFX's readers that an Examples artifact holds tf.Examples.

    Private: the property's name. Only TFX's own ExampleGens set it.
    """
    examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
