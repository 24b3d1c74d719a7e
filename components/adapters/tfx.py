"""Names by which TFX's own components recognize artifacts, which TFX keeps in private modules. Nothing else uses them.

TFX's public API is `tfx.v1`; its tutorials on custom components also use `tfx.dsl`, `tfx.proto`, `tfx.types` and
`tfx.utils`, which count as public here.

The names are repeated here, and a test compares them with TFX's: importing TFX's modules would import Beam and
TensorFlow Model Analysis in pods that need neither.
"""

from tfx.proto import example_gen_pb2
from tfx.types import Artifact

_BLESSED, _PAYLOAD_FORMAT = "blessed", "payload_format"
_MARKERS = {True: "BLESSED", False: "NOT_BLESSED"}


def bless(blessing: Artifact, blessed: bool) -> str:
    """Sets the property by which TFX's components recognize a blessing; returns the name of the marker file.

    Private: the names. TFX's Evaluator is the only public way to set them.
    """
    blessing.set_int_custom_property(_BLESSED, int(blessed))
    return _MARKERS[blessed]


def bless_serving(blessing: Artifact, blessed: bool) -> str:
    """Sets the property by which TFX's components recognize the blessing of an InfraValidator; returns the name of the
    marker file.

    Private: the names. TFX's InfraValidator, which doesn't run on Kubeflow Pipelines 2, is the only public way to set
    them.
    """
    blessing.set_int_custom_property(_BLESSED, int(blessed))
    return f"INFRA_{_MARKERS[blessed]}"


def mark_as_tf_examples(examples: Artifact) -> None:
    """Sets the property that tells TFX's readers that an Examples artifact holds tf.Examples.

    Private: the property's name. Only TFX's own ExampleGens set it.
    """
    tf_example = example_gen_pb2.PayloadFormat.Name(example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    examples.set_string_custom_property(_PAYLOAD_FORMAT, tf_example)
