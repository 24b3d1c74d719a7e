"""The served SavedModel: preprocessing, model and named outputs."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.core import storage
from hubline.preprocessing.columns import ParsingSpec, as_parsed
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import encoded_columns, images, input_names
from hubline.trainer.adapters.tensorflow import is_resource, set_method_names
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.export_format import COLUMNS, HEAD, PREDICT, RECIPE, SERVING
from hubline.trainer.inputs import Tensors, encoded_images, pixels_of_batch
from hubline.trainer.model import Parts
from hubline.trainer.serving_requests import for_serving_requests
from hubline.trainer.task import Task
from hubline.trainer.variable_names import ATTRIBUTE, named_variables
from hubline.trainer.variables import variables_of


class ServingModel(tf.Module):
    """A trained model with its preprocessing, ready to export."""

    def __init__(
        self,
        parts: Parts,
        transform: tf.keras.layers.Layer,
        parsing_spec: ParsingSpec,
        lists: Collection[str],
        features: Features,
        task: Task,
    ) -> None:
        """Assembles the model.

        Args:
            parts: The trained model.
            transform: The transform graph as a layer; it leaves out what depends on columns that it doesn't get (the
                label).
            parsing_spec: Spec of the raw columns that the features read.
            lists: Raw columns of which several values per record are used.
            features: Features that the model or a hub module takes.
            task: Defines the model's outputs.
        """
        super().__init__()
        # TensorFlow saves all attributes. Of the model and the transform graph, only variables, tables and files are
        # kept: with the functions of every layer and module, saving and loading would take three times as long.
        owners = [transform, *(backbone.module for backbone in parts.backbones.values())]
        variables = named_variables(parts.whole)
        setattr(self, ATTRIBUTE, variables)
        named = {variable.ref() for variable in variables.values()}
        # TensorFlow names a variable in the checkpoint after one of its places only, which must be that with its name.
        self._state = [
            state
            for owner in owners
            for state in _state_of(owner)
            if not (isinstance(state, tf.Variable) and state.ref() in named)
        ]
        self.modules = {name: variables_of(layer.module) for name, layer in parts.backbones.items()}
        """Variables of each hub module and backbone, in the order in which they are found in it."""
        self._network = _Untracked(tf.function(lambda inputs: parts.whole(inputs, training=False)))
        self._inputs = _Untracked(tf.function(self._inputs_of))
        self._parts = _Untracked(parts)
        self._transform = _Untracked(transform)
        self._spec = parsing_spec
        self._lists = frozenset(lists)
        self._features = features
        self._task = _Untracked(task)

    def answer(self, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
        """Named outputs for parsed raw columns."""
        answer = self._task.value.answer(self._network.value(self._inputs.value(parsed)))
        return self._task.value.placed(answer, images(self._features), encoded_images(self._features, parsed))

    def _inputs_of(self, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
        """Inputs of the model by name: pixels and transformed features."""
        given = pixels_of_batch(self._features, encoded_images(self._features, parsed)) | self._transformed(parsed)
        return {name: given[name] for name in self._parts.value.whole.input}

    def _transformed(self, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
        pictures = encoded_columns(self._features)
        tabular = {column: values for column, values in parsed.items() if column not in pictures}
        return self._transform.value(tabular) if tabular else {}

    def _named(self, model: tf.keras.Model, inputs: Tensors) -> Tensors:
        """Named outputs of a Keras model, which uses those of the inputs that it needs."""
        outputs = model({name: inputs[name] for name in model.input}, training=False)
        return self._task.value.answer(outputs)

    def save(self, path: str, vectors: CachedVectors | None = None) -> dict[str, Callable[..., Tensors]]:
        """Writes the SavedModel with its signatures `SERVING` and `PREDICT`, and `CLASSIFY` or `REGRESS` if its outputs
        are scores of classes or a number; besides, functions for conversions to other forms: `prepare`, from serialized
        tf.Examples to the inputs of the network, and `on_device`, from these to the outputs of `Task.on_device`.

        Args:
            path: The folder to write.
            vectors: The cached vectors, if the modules have not changed since. The export then also contains a small
                SavedModel of the head, which takes rows with these vectors, and a file that identifies them.

        Returns:
            The functions of the signatures by name.
        """
        examples = tf.TensorSpec([None], tf.string, name="examples")
        names = {name: column for column, name in input_names(self._spec).items()}
        shapes = {name: [None, None] if column in self._lists else [None] for name, column in names.items()}
        columns = {name: tf.TensorSpec(shapes[name], self._spec[of].dtype, name=name) for name, of in names.items()}
        answer = tf.function(self.answer)  # traced once for both signatures

        @tf.function(input_signature=[examples])
        def serving_default(examples: tf.Tensor) -> Tensors:
            return answer(tf.io.parse_example(examples, self._spec))

        @tf.function(input_signature=[columns])
        def predict(columns: Tensors) -> Tensors:
            raw = {names[name]: values for name, values in columns.items()}
            return answer({column: as_parsed(self._spec[column], values) for column, values in raw.items()})

        @tf.function(input_signature=[examples])
        def prepare(examples: tf.Tensor) -> Tensors:
            given = self._inputs.value(tf.io.parse_example(examples, self._spec))
            return {name: given[of] for of, name in input_names(given).items()}

        @tf.function
        def on_device(inputs: Tensors) -> Tensors:
            given = {of: inputs[name] for of, name in input_names(self._parts.value.whole.input).items()}
            return self._task.value.on_device(self._network.value(given))

        on_device.get_concrete_function(prepare.get_concrete_function().structured_outputs)
        self.prepare, self.on_device = prepare, on_device
        requests = for_serving_requests(serving_default.get_concrete_function())
        signatures = {SERVING: serving_default, PREDICT: predict} | {
            name: each.function for name, each in requests.items()
        }
        tf.saved_model.save(self, path, signatures=signatures)
        set_method_names(path, {name: each.method for name, each in requests.items()})
        storage.write_text(f"{path}/{COLUMNS}", json.dumps({column: name for name, column in names.items()}))
        if vectors is not None:
            self._save_head(path, vectors)
        return signatures

    def _save_head(self, path: str, vectors: CachedVectors) -> None:
        on_vectors = self._parts.value.on_vectors
        assert on_vectors is not None  # without one there would be no vectors to keep
        tabular = {column: spec for column, spec in self._spec.items() if column not in encoded_columns(self._features)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serving_default(examples: tf.Tensor) -> Tensors:
            transformed = self._transformed(tf.io.parse_example(examples, tabular)) if tabular else {}
            return self._named(on_vectors, vectors.parse(examples) | transformed)

        head = tf.Module()
        head.state = [*on_vectors.variables, *_state_of(self._transform.value)]
        tf.saved_model.save(head, f"{path}/{HEAD}", signatures={SERVING: serving_default})
        storage.write_text(f"{path}/{RECIPE}", vectors.recipe)


@dataclass(frozen=True)
class _Untracked:
    """Hides a value from TensorFlow's tracking of attributes."""

    value: Any


def _state_of(owner: Any) -> list[Any]:
    """What the functions of a loaded SavedModel may read: variables, tables, and the files that fill the tables."""
    # Resources are tables and, in TF1 modules, their initializers.
    parts = tf.train.TrackableView(owner).descendants()
    return [part for part in parts if isinstance(part, tf.Variable | tf.saved_model.Asset) or is_resource(part)]
