"""The SavedModel that is served: the whole preprocessing, the model, and names for what it answers."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from preprocessing.columns import ParsingSpec, as_parsed
from preprocessing.config import Features, input_name
from trainer.inputs import Tensors, prepare

SERVING = "serving_default"
"""The signature that takes serialized tf.Examples, `examples`: string of shape [batch]."""

PREDICT = "predict"
"""The signature that takes raw columns by their `input_name`, such as encoded images: string of shape [batch]."""

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""What both answer: the best class (string [batch]), its probability (float32 [batch]), and for every class its name
(string [batch, classes]) and probability (float32 [batch, classes])."""


class ServingModel(tf.Module):
    """A trained model with its preprocessing, ready to be exported."""

    def __init__(
        self,
        model: tf.keras.Model,
        transform: tf.keras.layers.Layer,
        parsing_spec: ParsingSpec,
        features: Features,
        classes: Sequence[str],
    ) -> None:
        """Puts the pieces together.

        Args:
            model: Prepared features to logits.
            transform: The transform graph as a layer; columns it does not get (the label) leave out what needs them.
            parsing_spec: The raw columns that the features read.
            features: What the model sees.
            classes: The class names, by index.
        """
        super().__init__()
        self._model = model
        self._transform = transform
        self._spec = parsing_spec
        self._features = features
        self._classes = tf.constant(list(classes))

    def answer(self, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
        """Raw columns, as parsed, to named outputs."""
        transformed = self._transform(dict(parsed))
        prepared = prepare(self._features, transformed)
        scores = tf.nn.softmax(self._model(prepared, training=False))
        best = tf.argmax(scores, axis=1)
        return {
            LABEL: tf.gather(self._classes, best),
            SCORE: tf.reduce_max(scores, axis=1),
            CLASSES: tf.tile(self._classes[tf.newaxis], [tf.shape(scores)[0], 1]),
            SCORES: scores,
        }

    def save(self, path: str) -> None:
        """Writes the SavedModel with its signatures `SERVING` and `PREDICT`."""
        examples = tf.TensorSpec([None], tf.string, name="examples")
        names = {input_name(column): column for column in self._spec}
        columns = {name: tf.TensorSpec([None], self._spec[column].dtype, name=name) for name, column in names.items()}

        @tf.function(input_signature=[examples])
        def serving_default(examples: tf.Tensor) -> Tensors:
            return self.answer(tf.io.parse_example(examples, self._spec))

        @tf.function(input_signature=[columns])
        def predict(columns: Tensors) -> Tensors:
            raw = {names[name]: values for name, values in columns.items()}
            return self.answer({column: as_parsed(self._spec[column], values) for column, values in raw.items()})

        tf.saved_model.save(self, path, signatures={SERVING: serving_default, PREDICT: predict})
