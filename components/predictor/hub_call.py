"""A hub module as it is called, and how its outputs belong to what it was asked about."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from hubline.components.predictor.input_binding import Call, Feed
from hubline.components.predictor.pictures import png
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_trial import TEXTS, Takes, Tried, numpy_of, pictures, try_outputs
from hubline.trainer.module import signature_name
from hubline.trainer.saved_model_loader import OpenModule

_SMALL, _LARGE = (96, 128), (384, 512)
"""Height and width of the pictures that a module of any size is tried with."""
_VECTORS = 3


class HubCall:
    """A module and what feeds it."""

    def __init__(self, module: OpenModule, hub: Hub, call: Call) -> None:
        """Settles how the module is called.

        Args:
            module: The module.
            hub: Which signature is called.
            call: What each input is given.
        """
        self._call = call
        self._run = partial(module.run, signature_name(module.offer, hub), call.function)
        self._fed: Mapping[str, Callable] = {
            name: tf.function(feed.fed, input_signature=[feed.column_spec]) for name, feed in call.feeds.items()
        }

    def __call__(self, given: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """The outputs for a batch.

        Args:
            given: By column, encoded images and texts, string [batch], and frames, string [batch, n]; of a generator
                its vectors, by input.
        """
        fed = {name: fed(given[self._call.feeds[name].column]) for name, fed in self._fed.items()}
        latent = self._call.latent
        vectors = {} if latent is None else {latent.input: tf.cast(given[latent.input], latent.takes.dtype)}
        outputs = self._run({**self._call.given, **fed, **vectors})
        return {name: numpy_of(values) for name, values in outputs.items()}

    def tried(self) -> Tried:
        """Tries the module out with texts, pictures and vectors of ours."""
        tried = Tried()
        # What takes strings may take texts, or the files of images; and some take no small pictures.
        for are_texts, size in ((True, _SMALL), (False, _SMALL), (False, _LARGE)):
            tried = self._try(are_texts, size)
            if tried.outputs:
                break
        return tried

    def _try(self, are_texts: bool, size: tuple[int, int]) -> Tried:
        probes = {feed.column: _probes(feed, are_texts, size) for feed in self._call.feeds.values()}
        latent = self._call.latent
        if latent is not None:
            probes[latent.input] = list(np.random.default_rng(0).normal(size=[_VECTORS, *latent.shape]))

        def ask(numbers: Sequence[int]) -> Mapping[str, np.ndarray]:
            return self({name: tf.constant([some[number] for number in numbers]) for name, some in probes.items()})

        return try_outputs(ask, min(map(len, probes.values())), self._takes)

    @property
    def _takes(self) -> Takes:
        feeds, latent = self._call.feeds.values(), self._call.latent
        if any(not feed.has_batch for feed in feeds):
            return "bare"
        is_one = any(feed.is_batch_of_one for feed in feeds) or (latent is not None and latent.is_batch_of_one)
        return "one" if is_one else "batches"


def _probes(feed: Feed, are_texts: bool, size: tuple[int, int]) -> list:
    """What to try a feed with, as its column has it.

    Args:
        feed: What takes it.
        are_texts: Whether strings of which nothing is known are texts, and not the files of images.
        size: Of pictures that may have any.
    """
    image = feed.image
    if isinstance(image, VideoFeature):
        return [[png(frame) for frame in clip] for clip in pictures([image.frames, *image.size, 3])]
    if image is None and are_texts:
        return [text.encode() for text in TEXTS]
    own = image.size if image is not None and image.size is not None else size
    return [png(picture) for picture in pictures([*own, 3])]
