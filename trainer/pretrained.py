"""Initializes embeddings with a text module's vectors of the words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.errors import UserError
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.hub_layer import HubLayer
from hubline.trainer.saved_model_loader import open_module

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features

WORDS: Features = {"words": TextFeature(kind="text")}
"""The single feature that feeds a word-embedding module."""

_AT_ONCE = 1024  # words


def of_words(hub: Hub) -> Hub:
    """Rewires the module to take `WORDS`."""
    return hub.model_copy(update={"inputs": {"words": "words"}})


def begin_with_modules(
    model: tf.keras.Model,
    features: Features,
    hubs: Hubs,
    module_paths: Mapping[str, str],
    transform: tft.TFTransformOutput,
) -> None:
    """Initializes the embeddings of an untrained model. Out-of-vocabulary buckets keep their values.

    Args:
        model: Has the layers of the features.
        features: Features; those with a `pretrained` embedding are initialized.
        hubs: The modules that they name.
        module_paths: The folder of each module.
        transform: Provides the vocabularies.

    Raises:
        UserError: if a module's vectors differ in size from the embedding.
    """
    for name, feature in features.items():
        if not isinstance(feature, CategoryKind) or feature.pretrained is None:
            continue
        hub = feature.pretrained
        words = feature.words(name, transform)
        backbone = HubLayer(of_words(hubs[hub]), open_module(module_paths[hub]), WORDS, f"words_of_{name}")
        batches = [words[start : start + _AT_ONCE] for start in range(0, len(words), _AT_ONCE)]
        vectors = tf.concat([backbone({"words": tf.constant(batch)}) for batch in batches], axis=0)
        table = model.get_layer(f"embedded_{name}").table
        if vectors.shape[1] != table.shape[1]:
            raise UserError(
                f"features.{name}: the module '{hub}' gives {vectors.shape[1]} numbers for a word, and the embedding "
                f"has {table.shape[1]}; say encode: {{embedding: {vectors.shape[1]}, pretrained: {hub}}}"
            )
        table.assign(tf.concat([vectors, table[len(words) :]], axis=0))
