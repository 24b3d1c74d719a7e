"""A hub module behind one interface, that of a reusable SavedModel, however the module itself is called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.trainer.adapters.tensorflow import AutoTrackable
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.module import Tensor, as_tensor, output_name, signature_name
from hubline.trainer.module_fit import fitting_function, maps_of, shape_of_one
from hubline.trainer.module_inputs import frames_each, takes_one, way
from hubline.trainer.saved_model import to_train
from hubline.trainer.saved_model_loader import InTraining, LoadedModule, Run
from hubline.trainer.variables import variables_of

if TYPE_CHECKING:
    from hubline.preprocessing.config import Feature, Features


class HubCallable(AutoTrackable):
    """Takes features by name and returns float32 vectors [batch, n]; with `outputs` in `hub`, feature maps by name,
    float32 [batch, height, width, channels].

    It implements https://www.tensorflow.org/hub/reusable_saved_models, so that `tf_hub.KerasLayer` can train it.
    """

    def __init__(self, hub: Hub, module: LoadedModule, features: Features, tuned: VariableSelection | None) -> None:
        """Determines how the module is called.

        Args:
            hub: Inputs, arguments and outputs.
            module: The loaded module.
            features: The features that feed it.
            tuned: Variables to train; None to train none.

        Raises:
            UserError: if the module doesn't fit the features, or has none of the variables in `tuned`.
        """
        super().__init__()
        offer, function = module.offer, fitting_function(module.offer, hub, features)
        self.module = module.loaded  # tracks its variables
        signature = signature_name(offer, hub)
        self._run: Run = partial(module.run, signature, function)
        self._feeds = {name: (function.inputs[name], features[fed], fed) for name, fed in function.feeds(hub).items()}
        # Arguments that aren't tensors were settled by the choice of the trace.
        tensors = function.inputs.keys() & hub.arguments.keys()
        self._given = {name: as_tensor(hub.arguments[name], function.inputs[name]) for name in sorted(tensors)}
        self._takes_one = takes_one(function, hub, features)
        self._frames = frames_each(function, hub, features)
        self._outputs = hub.outputs or (output_name(function, hub),)
        self._pool = hub.pool
        self.shape = None if hub.outputs else shape_of_one(function, hub, features)
        self.maps = self._sizes(maps_of(function, hub, features)) if hub.outputs else {}
        self.combiner = None if isinstance(hub.pool, str) else hub.pool

        self.variables, trainable = _variables(module.loaded)
        names = () if tuned is None else to_train(offer.variables, tuned)
        self.trainable_variables = [one for one in trainable if one.name.partition(":")[0] in names]
        trained = InTraining(self._run)
        if tuned is not None:
            trained = module.in_training(signature, function, tuned, names, self._outputs)
        self._run_to_train = trained.run
        self.regularization_losses = list(trained.regularization_losses)
        self.generator = trained.generator

    def __call__(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor | Mapping[str, tf.Tensor]:
        """Runs the module.

        Args:
            inputs: By feature: images as uint8 [batch, height, width, channels], clips as uint8 [batch, frames, height,
                width, channels], numbers and sounds as float32 [batch, length], texts as string [batch].
            training: Whether the module is being trained.
        """
        values = {name: _fed(feature, wanted, inputs[fed]) for name, (wanted, feature, fed) in self._feeds.items()}
        if self.maps:
            given = self._outputs_of(values, training)
            return {
                name: tf.ensure_shape(tf.cast(given[name], tf.float32), [None, *size])
                for name, size in self.maps.items()
            }
        if self._frames is not None:
            return self._vectors(self._by_frame(values, self._frames, training))
        if not self._takes_one:
            return self._vectors(self._output_of(values, training), self._words(inputs))
        shape = tf.TensorSpec(None if self.shape is None else [math.prod(self.shape)], tf.float32)
        return tf.map_fn(lambda one: self._vector(one, training), values, fn_output_signature=shape)

    def _by_frame(self, clips: Mapping[str, tf.Tensor], frames: int, training: bool) -> tf.Tensor:
        """Runs the module on each frame separately: [batch, frames, ...]."""
        fed = {name: tf.reshape(clip, [-1, *clip.shape[2:]]) for name, clip in clips.items()}
        given = self._output_of(fed, training)
        return tf.reshape(given, tf.concat([[-1, frames], tf.shape(given)[1:]], axis=0))

    def _vector(self, values: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Output for one example, float32 [n]."""
        fed = {
            name: values[name] if way(wanted, feature) == "single" else values[name][tf.newaxis]
            for name, (wanted, feature, _) in self._feeds.items()
        }
        given = self._output_of(fed, training)
        if self._pool is not None:
            return self._vectors(given[tf.newaxis])[0]
        return tf.reshape(tf.cast(given, tf.float32), [-1] if self.shape is None else self.shape)

    def _words(self, inputs: Mapping[str, tf.Tensor]) -> tf.RaggedTensor | None:
        """The words of each example, if the module is fed words; string [batch, (words)]."""
        texts = [inputs[fed] for wanted, feature, fed in self._feeds.values() if way(wanted, feature) == "words"]
        return _split(texts[0]) if texts else None

    def _vectors(self, given: tf.Tensor, words: tf.RaggedTensor | None = None) -> tf.Tensor:
        """Output for a batch, float32 [batch, n].

        Args:
            given: The module's output.
            words: If its steps are words, the words; steps beyond the last word of an example are left out.
        """
        given = tf.cast(given, tf.float32)
        if self._pool is None:
            return given[:, tf.newaxis] if given.shape.rank == 1 else given
        steps = tf.reshape(given, [tf.shape(given)[0], tf.reduce_prod(tf.shape(given)[1:-1]), given.shape[-1]])
        there = tf.ones_like(steps[..., 0], tf.bool) if words is None else _with_words(steps, words)
        if isinstance(self._pool, str):
            return _pooled(steps, there, self._pool)
        steps = tf.where(there[..., tf.newaxis], steps, 0.0)
        assert self.shape is not None  # otherwise there would be nothing to pool
        most, numbers = self.shape
        cut = steps[:, :most]
        padded = tf.pad(cut, [[0, 0], [0, most - tf.shape(cut)[1]], [0, 0]])
        return tf.reshape(padded, [-1, most * numbers])

    def _output_of(self, fed: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        return self._outputs_of(fed, training)[self._outputs[0]]

    def _outputs_of(self, fed: Mapping[str, tf.Tensor], training: bool) -> Mapping[str, tf.Tensor]:
        run = self._run_to_train if training else self._run
        return run({**self._given, **fed})

    def _sizes(self, maps: Mapping[str, tuple[int | None, ...]]) -> dict[str, tuple[int, ...]]:
        """Height, width and channels of feature maps. Unknown sizes are found by running the module on a black
        image."""
        if not any(None in size for size in maps.values()):
            return dict(maps)  # type: ignore[arg-type]
        black = {
            name: _fed(feature, wanted, tf.zeros([1, *feature.size, feature.channels], tf.uint8))
            for name, (wanted, feature, _) in self._feeds.items()
            if isinstance(feature, ImageKind)
        }
        given = self._outputs_of(black, False)
        shapes = {name: given[name].shape for name in maps}
        for name, shape in shapes.items():
            if shape.rank != 4:
                raise UserError(
                    f"the module's output '{name}' is {shape}, but a label of pixels needs feature maps, [?, height, "
                    "width, channels]"
                )
        return {name: tuple(shape[1:]) for name, shape in shapes.items()}


def _variables(loaded: Any) -> tuple[list[tf.Variable], list[tf.Variable]]:
    """All variables of a module and its trainable ones. Without a list of its own, each variable's flag decides."""
    found = variables_of(loaded)
    listed = getattr(loaded, "trainable_variables", None)
    return found, [variable for variable in found if variable.trainable] if listed is None else list(listed)


def _fed(feature: Feature, wanted: Tensor, values: tf.Tensor) -> tf.Tensor:
    """Converts pixels for the module: scaled floats, integers, or an encoded image file. Numbers get their shape; texts
    become words or their number if the module takes these."""
    if isinstance(feature, NumericFeature):
        return feature.as_module_input(values, wanted.dtype)
    if isinstance(feature, AudioFeature):
        return tf.cast(values, wanted.dtype)
    if not isinstance(feature, ImageKind):
        how = way(wanted, feature)
        if how == "word counts":
            return tf.cast(_split(values).row_lengths(), wanted.dtype)
        return _padded(_split(values)) if how == "words" else values
    if wanted.dtype == "string":
        return tf.io.encode_png(values)
    dtype = tf.as_dtype(wanted.dtype)
    return tf.cast(image.scaled(feature, values) if dtype.is_floating else values, dtype)


def _split(texts: tf.Tensor) -> tf.RaggedTensor:
    """The words of texts, separated by white space."""
    return tf.strings.split(texts)


def _padded(words: tf.RaggedTensor) -> tf.Tensor:
    """Words with empty strings at the end, [batch, words], with a place for at least one word."""
    padded = words.to_tensor("")
    return tf.pad(padded, [[0, 0], [0, tf.maximum(1 - tf.shape(padded)[1], 0)]])


def _with_words(steps: tf.Tensor, words: tf.RaggedTensor) -> tf.Tensor:
    """Whether a step belongs to a word of its example, bool [batch, steps]; always true if steps aren't words."""
    count = tf.shape(steps)[1]
    are_words = count == tf.shape(_padded(words))[1]
    return tf.sequence_mask(words.row_lengths(), count) | ~are_words


def _pooled(steps: tf.Tensor, there: tf.Tensor, pool: str) -> tf.Tensor:
    """Pools vectors, [batch, steps, n], over the steps that are `there`; zeros if there are none."""
    there = there[..., tf.newaxis]
    if pool == "mean":
        total = tf.reduce_sum(tf.where(there, steps, 0.0), axis=1)
        return tf.math.divide_no_nan(total, tf.reduce_sum(tf.cast(there, tf.float32), axis=1))
    most = tf.reduce_max(tf.where(there, steps, steps.dtype.min), axis=1)
    return tf.where(tf.reduce_any(there, axis=1), most, 0.0)
