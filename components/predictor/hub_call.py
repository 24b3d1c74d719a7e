"""Calls a hub module, and finds out how its outputs map to the items of a batch."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from hubline.components.predictor.input_binding import BoundFunction, InputBinding
from hubline.components.predictor.pictures import png
from hubline.preprocessing.encoded_sounds import trial_sounds
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_trial import TEXTS, Takes, TrialResult, numbers, numpy_of, pictures, try_outputs
from hubline.trainer.module import is_floating, signature_name
from hubline.trainer.saved_model_loader import LoadedModule

_SMALL, _LARGE = (96, 128), (384, 512)
"""Height and width of trial images for modules without a fixed input size."""
_VECTORS = 3


class HubCall:
    """A module with its input bindings."""

    def __init__(self, module: LoadedModule, hub: Hub, call: BoundFunction) -> None:
        """Args:
        module: The module.
        hub: Determines the signature.
        call: What each input receives.
        """
        self._call = call
        self._run = partial(module.run, signature_name(module.offer, hub), call.function)
        self._fed: Mapping[str, Callable] = {
            name: tf.function(feed.fed, input_signature=None if feed.is_of_numbers else [feed.column_spec])
            for name, feed in call.feeds.items()
        }

    def __call__(self, given: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """The outputs for a batch.

        Args:
            given: By column, encoded images, sounds and texts, string [batch], frames, string [batch, n], or numbers,
                float32 or int64 [batch, n]; for a generator, latent vectors by input.
        """
        fed = {name: fed(given[self._call.feeds[name].column]) for name, fed in self._fed.items()}
        latent = self._call.latent
        vectors = {} if latent is None else {latent.input: tf.cast(given[latent.input], latent.takes.dtype)}
        outputs = self._run({**self._call.given, **fed, **vectors})
        return {name: numpy_of(values) for name, values in outputs.items()}

    def tried(self) -> TrialResult:
        """Calls the module with sample texts, images or vectors."""
        tried = TrialResult()
        # A string input may expect texts or encoded images, and some modules reject small images.
        for are_texts, size in ((True, _SMALL), (False, _SMALL), (False, _LARGE)):
            tried = self._try(are_texts, size)
            if tried.outputs:
                break
        return tried

    def _try(self, are_texts: bool, size: tuple[int, int]) -> TrialResult:
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


def _probes(feed: InputBinding, are_texts: bool, size: tuple[int, int]) -> list:
    """Sample values for a feed's column.

    Args:
        feed: The input binding.
        are_texts: Whether a string input of unknown meaning gets texts rather than encoded images.
        size: Height and width of images for inputs without a fixed size.
    """
    image = feed.image
    if isinstance(feed.values, NumericFeature):
        return numbers(feed.values.length, are_whole=not is_floating(feed.takes.dtype))
    if feed.values is not None:
        return trial_sounds(feed.values.sample_rate, feed.values.length)
    if isinstance(image, VideoFeature):
        return [[png(frame) for frame in clip] for clip in pictures([image.frames, *image.size, 3])]
    if image is None and are_texts:
        return [text.encode() for text in TEXTS]
    own = image.size if image is not None and image.size is not None else size
    return [png(picture) for picture in pictures([*own, 3])]
