"""Small hub modules in the TF1 format."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf


def images(path: Path, *tag_sets: Sequence[str]) -> Path:
    """A module in the TF1 format: maps images, [batch, 8, 8, 3], to vectors, [batch, 5].

    Of several graphs, each has its tags, and multiplies by its number, from 1.
    """
    builder = tf.compat.v1.saved_model.Builder(str(path))
    for number, tags in enumerate(tag_sets or [[]]):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
            weights = tf.compat.v1.get_variable("weights", [3, 5], initializer=tf.compat.v1.ones_initializer())
            tf.compat.v1.get_variable("steps", [], dtype=tf.int64, trainable=False)
            vectors = (number + 1.0) * tf.reduce_mean(images, [1, 2]) @ weights
            session.run(tf.compat.v1.global_variables_initializer())
            signatures = {
                "default": tf.compat.v1.saved_model.predict_signature_def({"images": images}, {"default": vectors})
            }
            if number == 0:
                builder.add_meta_graph_and_variables(session, list(tags), signatures)
            else:
                builder.add_meta_graph(list(tags), signatures)
    builder.save()
    # Marks a hub module: its only field, the format, is 3 (tensorflow_hub's module_def.proto).
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def texts(path: Path, folder: Path) -> Path:
    """A TF1 text module with a vocabulary file: maps string [batch] to vectors, [batch, 2]; with a graph for
    training."""
    words = folder / "words.txt"
    words.write_text("good\nbad\n")
    builder = None
    for tags, factor in ((["train"], 100.0), ([], 1.0)):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            asset = tf.constant(str(words))
            tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, asset)
            lines = tf.lookup.TextFileInitializer(
                asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            table = tf.lookup.StaticVocabularyTable(lines, 1)
            texts = tf.compat.v1.placeholder(tf.string, [None], name="texts")
            vectors = tf.compat.v1.get_variable("vectors", initializer=tf.constant([[1.0, 0], [0, 1], [5, 5]]))
            given = factor * tf.gather(vectors, table.lookup(texts))
            session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
            make = tf.compat.v1.saved_model.predict_signature_def
            signatures = {
                "default": make({"text": texts}, {"default": given}),
                "both": make({"text": texts}, {"default": 2 * given, "layer_1/output": 3 * given}),
            }
            initializer = tf.compat.v1.tables_initializer()
            if builder is None:
                builder = tf.compat.v1.saved_model.Builder(str(path))
                builder.add_meta_graph_and_variables(session, tags, signatures, [asset], main_op=initializer)
            else:
                builder.add_meta_graph(tags, signatures, [asset], main_op=initializer)
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def detector(path: Path) -> Path:
    """A TF1 module like the detectors on TensorFlow Hub: one image, float32 [1, height, width, 3] in [0, 1]. Its
    outputs have no batch dimension: the box of the whole image, with the mean of the first channel as its score."""
    builder = tf.compat.v1.saved_model.Builder(str(path))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3], name="images")
        outputs = {
            "detection_boxes": tf.constant([[0.0, 0.0, 1.0, 1.0]]),
            "detection_scores": tf.reduce_mean(images, [1, 2])[:, 0],
            "detection_class_entities": tf.constant(["All"]),
            "detection_class_labels": tf.constant([7], tf.int64),
        }
        make = tf.compat.v1.saved_model.predict_signature_def
        builder.add_meta_graph_and_variables(session, [], {"default": make({"images": images}, outputs)})
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def augmenting(path: Path) -> Path:
    """A TF1 image augmentation module: image files, a size, and whether to change the images."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        files = tf.compat.v1.placeholder(tf.string, [None])
        size = tf.compat.v1.placeholder(tf.int32, [2])
        wanted = tf.compat.v1.placeholder(tf.bool, [])
        decoded = tf.map_fn(lambda one: tf.io.decode_image(one, 3, expand_animations=False), files, tf.uint8)
        images = tf.image.resize(tf.ensure_shape(decoded, [None, None, None, 3]), size) / 255.0
        given = tf.where(wanted, 1.0 - images, images)
        make = tf.compat.v1.saved_model.predict_signature_def
        inputs = {"encoded_images": files, "image_size": size, "augmentation": wanted}
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, [], {"default": make(inputs, {"default": given})})
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path
