"""SavedModels that take serialized tf.Examples and were not exported by Hubline."""

from pathlib import Path

import tensorflow as tf

from tests.support import model as make_model

EXAMPLES = tf.TensorSpec([None], tf.string, "records")
SPEC = {"x": tf.io.FixedLenFeature([], tf.float32), "word": tf.io.FixedLenFeature([], tf.string, "none")}


class Line(tf.Module):
    """Like the models of TFX's templates: `outputs` is [3x + 1] of each record; `words` returns its word, and `planes`
    its powers."""

    @tf.function(input_signature=[EXAMPLES])
    def line(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(records, SPEC)
        x = parsed["x"]
        powers = tf.stack([x, x**2, x**3, x**4], axis=1)
        return {"outputs": 3 * x[:, tf.newaxis] + 1, "words": parsed["word"], "planes": tf.reshape(powers, [-1, 2, 2])}

    @tf.function(input_signature=[EXAMPLES])
    def logits(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(records, SPEC)["x"]
        return {"logits": tf.stack([x, -x, 0 * x], axis=1)}

    @tf.function(input_signature=[EXAMPLES])
    def centred(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        """Depends on the other records of the batch."""
        x = tf.io.parse_example(records, SPEC)["x"]
        return {"outputs": x - tf.reduce_mean(x)}

    @tf.function(input_signature=[EXAMPLES])
    def total(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        """Has no row per record."""
        return {"outputs": tf.reduce_sum(tf.io.parse_example(records, SPEC)["x"], keepdims=True)}

    @tf.function(input_signature=[EXAMPLES])
    def found(self, records: tf.Tensor) -> dict[str, tf.Tensor]:
        """Like a detector: two objects with the word of the record and another, or its word twice where x is 0."""
        parsed = tf.io.parse_example(records, SPEC)
        other = tf.where(parsed["x"] == 0, parsed["word"], "other")
        scores = tf.stack([parsed["x"], 1 - parsed["x"]], axis=1)
        return {"classes": tf.stack([parsed["word"], other], axis=1), "scores": scores}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "numbers")])
    def numbers(self, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": numbers}


def line(path: Path, **signatures: str) -> Path:
    """Saves `Line` with some of its functions as signatures."""
    return make_model.saved(path, Line(), **signatures)


def estimator(path: Path) -> Path:
    """A binary classifier in the format of an Estimator: TF1, with the signatures `serving_default`, `classification`
    and `predict`. The probability of class 1 is sigmoid(2x - 0.5)."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        records = v1.placeholder(tf.string, [None], "input_example_tensor")
        weight = v1.get_variable("weight", initializer=2.0, use_resource=True)
        x = v1.io.parse_example(records, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        high = tf.sigmoid(weight * x - 0.5)
        scores = tf.stack([1 - high, high], axis=1)
        classes = tf.tile(tf.constant([["0", "1"]]), [tf.shape(x)[0], 1])
        session.run(v1.global_variables_initializer())
        signatures = v1.saved_model.signature_def_utils
        classified = signatures.classification_signature_def(records, classes, scores)
        predicted = signatures.predict_signature_def({"examples": records}, {"probabilities": scores, "x": x})
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            {"serving_default": classified, "classification": classified, "predict": predicted},
        )
        builder.save()
    return path


def reading(path: Path) -> Path:
    """A model that reads the files that records name."""

    class Reading(tf.Module):
        @tf.function(input_signature=[EXAMPLES])
        def read(self, records: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(tf.io.read_file, tf.io.parse_example(records, SPEC)["word"])

    return make_model.saved(path, Reading(), serving_default="read")
