"""Embeddings that begin with what a hub module of texts gives for each word."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.errors import UserError
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.kind import Categories
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.model import Backbone
from hubline.trainer.saved_model_loader import open_module

WORDS: Features = {"words": TextFeature(kind="text")}
"""The one feature that a module takes which gives a vector for each word."""

_AT_ONCE = 1024  # words


def of_words(hub: Hub) -> Hub:
    """The module as one that takes `WORDS`."""
    return hub.model_copy(update={"inputs": {"words": "words"}})


def begin_with_modules(
    model: tf.keras.Model,
    features: Features,
    hubs: Hubs,
    module_paths: Mapping[str, str],
    transform: tft.TFTransformOutput,
) -> None:
    """Sets the embeddings of a model that has not been trained; buckets behind a vocabulary stay as they are.

    Args:
        model: Has the layers of the features.
        features: Those with a `pretrained` embedding are looked at.
        hubs: The modules that they name.
        module_paths: The folder of each.
        transform: Knows the vocabularies.

    Raises:
        UserError: where a module does not give as many numbers for a word as the embedding has.
    """
    for name, feature in features.items():
        if not isinstance(feature, Categories) or feature.pretrained is None:
            continue
        hub = feature.pretrained
        words = feature.words(name, transform)
        backbone = Backbone(of_words(hubs[hub]), open_module(module_paths[hub]), WORDS, f"words_of_{name}")
        batches = [words[start : start + _AT_ONCE] for start in range(0, len(words), _AT_ONCE)]
        vectors = tf.concat([backbone({"words": tf.constant(batch)}) for batch in batches], axis=0)
        table = model.get_layer(f"embedded_{name}").table
        if vectors.shape[1] != table.shape[1]:
            raise UserError(
                f"features.{name}: the module '{hub}' gives {vectors.shape[1]} numbers for a word, and the embedding "
                f"has {table.shape[1]}; say encode: {{embedding: {vectors.shape[1]}, pretrained: {hub}}}"
            )
        table.assign(tf.concat([vectors, table[len(words) :]], axis=0))
