"""The SavedModel that is served: the whole preprocessing, the model, and names for what it answers."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from preprocessing.columns import ParsingSpec, as_parsed
from preprocessing.config import Features, input_name
from trainer.inputs import Tensors, pixels_of_batch
from trainer.model import Parts
from trainer.vectors import Vectors

SERVING = "serving_default"
"""The signature that takes serialized tf.Examples, `examples`: string of shape [batch]."""

PREDICT = "predict"
"""The signature that takes raw columns by their `input_name`, such as encoded images: string of shape [batch]."""

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""What both answer: the best class (string [batch]), its probability (float32 [batch]), and for every class its name
(string [batch, classes]) and probability (float32 [batch, classes])."""


EXTRA, RECIPE = "assets.extra", "vectors.sha256"
"""The folder of a SavedModel that TensorFlow leaves to others, and the file in it that names the kept vectors."""


class ServingModel(tf.Module):
    """A trained model with its preprocessing, ready to be exported."""

    def __init__(
        self,
        parts: Parts,
        transform: tf.keras.layers.Layer,
        parsing_spec: ParsingSpec,
        features: Features,
        classes: Sequence[str],
    ) -> None:
        """Puts the pieces together.

        Args:
            parts: The trained model.
            transform: The transform graph as a layer; columns it does not get (the label) leave out what needs them.
            parsing_spec: The raw columns that the features read.
            features: What the model sees.
            classes: The class names, by index.
        """
        super().__init__()
        self.whole, self.on_vectors = parts.whole, parts.on_vectors  # attributes, so that their variables are saved
        self._transform = transform
        self._spec = parsing_spec
        self._features = features
        self._classes = tf.constant(list(classes))

    def answer(self, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
        """Raw columns, as parsed, to named outputs."""
        pixels = pixels_of_batch(self._features, self._transform(dict(parsed)))
        return self._named(self.whole(pixels, training=False))

    def _named(self, logits: tf.Tensor) -> Tensors:
        scores = tf.nn.softmax(logits)
        best = tf.argmax(scores, axis=1)
        return {
            LABEL: tf.gather(self._classes, best),
            SCORE: tf.reduce_max(scores, axis=1),
            CLASSES: tf.tile(self._classes[tf.newaxis], [tf.shape(scores)[0], 1]),
            SCORES: scores,
        }

    def save(self, path: str, vectors: Vectors | None = None) -> None:
        """Writes the SavedModel with its signatures `SERVING` and `PREDICT`.

        Args:
            path: The folder to write.
            vectors: Where the modules are as they were when these were kept: the model then has a function
                `answer_embedded` too, which takes the rows that hold them, and a file that says which they are.
        """
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

        if vectors is not None:

            @tf.function(input_signature=[examples])
            def answer_embedded(examples: tf.Tensor) -> Tensors:
                return self._named(self.on_vectors(vectors.parse(examples), training=False))

            self.answer_embedded = answer_embedded
        tf.saved_model.save(self, path, signatures={SERVING: serving_default, PREDICT: predict})
        if vectors is not None:
            tf.io.gfile.makedirs(f"{path}/{EXTRA}")
            with tf.io.gfile.GFile(f"{path}/{EXTRA}/{RECIPE}", "w") as file:
                file.write(vectors.recipe)


def recipe_of(path: str) -> str | None:
    """Which kept vectors an exported model can answer from; None where it knows images only."""
    file = f"{path}/{EXTRA}/{RECIPE}"
    if not tf.io.gfile.exists(file):
        return None
    with tf.io.gfile.GFile(file) as text:
        return text.read()
