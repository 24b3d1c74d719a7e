"""The model: hub modules and other backbones, and a head on their outputs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.backbones.backbone_layer import BackboneLayer, weights_in
from hubline.trainer.backbones.config import NO_BACKBONES, Backbones, trained_from_the_start
from hubline.trainer.config.hubs import NO_HUBS, Hub, Hubs, fed_hubs
from hubline.trainer.config.model import Head, Model
from hubline.trainer.decoder import decode, small
from hubline.trainer.embeddings import column
from hubline.trainer.hub_layer import HubLayer
from hubline.trainer.inputs import Tensors
from hubline.trainer.penalty import Penalty
from hubline.trainer.precision import in_float32, loss_scaled, scaled, unscaled
from hubline.trainer.replicas import share_of_loss
from hubline.trainer.standardize import Standardization
from hubline.trainer.tf1.module import open_to_train
from hubline.trainer.weight_average import WeightAverage

# Must run before any Keras call: to try out a module, to train, in a test.
leave_libraries_alone()


@dataclass(frozen=True)
class Parts:
    """The parts of the model, assembled in two ways that share their weights.

    Both models take the inputs of the model's own features by name, and return the raw outputs of the `Task`, float32
    [batch, outputs], or per pixel [batch, height, width, outputs].
    """

    backbones: Mapping[str, "HubLayer | BackboneLayer"]
    """Hub modules and other backbones, by name."""
    whole: "TunedModel"
    """Also takes the backbones' inputs: pixels, uint8 [batch, height, width, channels], and texts, string [batch]."""
    on_vectors: "TunedModel | None"
    """Also takes the backbones' outputs by `column`, float32 [batch, n]. None if they are feature maps, which are not
    cached."""
    standardized: Mapping[str, Standardization] = field(default_factory=dict)
    """The standardization layer by hub module or backbone, or by output if the outputs are feature maps."""


def build(
    model: Model,
    hubs: Hubs,
    module_paths: Mapping[str, str],
    features: Features,
    transform: tft.TFTransformOutput,
    outputs: int,
    backbones: Backbones = NO_BACKBONES,
) -> Parts:
    """Builds the backbones and the head.

    Args:
        model: The head, the wide features, and the modules to fine-tune.
        hubs: Hub modules and their inputs.
        module_paths: The folder of each hub module, and of each backbone that has files.
        features: The model's inputs.
        transform: Provides the vocabularies.
        outputs: Raw outputs per record.
        backbones: Backbones other than hub modules.
    """
    if any(hub.outputs for hub in hubs.values()):
        return _of_pixels(model, fed_hubs(hubs), module_paths, features, outputs)
    own, fed = keras_inputs(model_inputs(features, hubs, backbones)), keras_inputs(feeding(hubs, features, backbones))
    layers: dict[str, HubLayer | BackboneLayer] = {
        name: _hub_layer(name, hub, module_paths, features, model) for name, hub in fed_hubs(hubs).items()
    }
    for name, config in backbones.items():
        weights = weights_in(module_paths[name]) if config.weights_file else None
        layers[name] = BackboneLayer(config, features, name, weights, model.fine_tune.get(name))
    given = {column(name): layer(fed) for name, layer in layers.items()}
    vectors = {name: tf.keras.Input(vector.shape[1:], name=name) for name, vector in given.items()}
    raw, standardized = head_of(model, hubs, layers, own, features, transform, outputs, backbones)
    return Parts(
        backbones=layers,
        whole=TunedModel(own | fed, raw(given), name="hubline"),
        on_vectors=TunedModel(own | vectors, raw(vectors), name="hubline_head"),
        standardized=standardized,
    )


def head_of(
    model: Model,
    hubs: Hubs,
    layers: "Mapping[str, HubLayer | BackboneLayer]",
    own: Tensors,
    features: Features,
    transform: tft.TFTransformOutput,
    outputs: int,
    backbones: Backbones = NO_BACKBONES,
) -> tuple[Callable[[Tensors], tf.Tensor], dict[str, Standardization]]:
    """The function from backbone outputs by `column` to raw outputs, and the standardization layers by backbone."""
    deep = [
        feature.layer(name, transform)(own)
        for name, feature in model_inputs(features, hubs, backbones).items()
        if name not in model.wide
    ]
    wide = [categories(name, features).linear(name, transform, outputs)(own) for name in model.wide]
    joined = head(model.head, outputs)
    standardized = {
        name: Standardization(f"standardized_{name}") for name in _of_unknown_scale(model, layers, backbones)
    }
    in_order = {
        column(name): layer.in_order(f"in_order_{name}", standardized.get(name, tf.identity))
        for name, layer in layers.items()
    }

    def raw(of_modules: Tensors) -> tf.Tensor:
        sides = [*(in_order[name](vector) for name, vector in of_modules.items()), *deep]
        parts = [*wide, *([joined(_concatenated(sides))] if sides else [])]
        return in_float32(parts[0] if len(parts) == 1 else tf.keras.layers.Add()(parts))

    return raw, standardized


def _of_unknown_scale(model: Model, layers: Iterable[str], backbones: Backbones) -> list[str]:
    """The hub modules and backbones whose vectors are standardized. Backbones that are trained from the first epoch on
    are excluded, because their scale changes as they learn."""
    finding = trained_from_the_start(backbones, model)
    return [name for name in layers if name not in finding] if model.head.standardize else []


def _of_pixels(model: Model, hubs: Hubs, module_paths: Mapping[str, str], features: Features, outputs: int) -> Parts:
    """A hub module whose outputs are feature maps, and a decoder on top."""
    ((name, hub),) = hubs.items()
    ((_, pictures),) = images(feeding(hubs, features)).items()
    fed = keras_inputs(feeding(hubs, features))
    backbone = _hub_layer(name, hub, module_paths, features, model)
    maps = backbone(fed)
    standardized = (
        {output: Standardization(f"standardized_{output}") for output in maps} if model.head.standardize else {}
    )
    brought = {output: standardized[output](values) if standardized else values for output, values in maps.items()}
    whole = TunedModel(fed, in_float32(decode(model.head, brought, pictures.size, outputs)), name="hubline")
    return Parts(backbones={name: backbone}, whole=whole, on_vectors=None, standardized=standardized)


def _hub_layer(name: str, hub: Hub, module_paths: Mapping[str, str], features: Features, model: Model) -> HubLayer:
    tuned = model.fine_tune.get(name)
    return HubLayer(hub, open_to_train(module_paths[name], tuned), features, name, tuned)


def model_inputs(features: Features, hubs: Hubs = NO_HUBS, backbones: Backbones = NO_BACKBONES) -> Features:
    """The features that the head reads through layers of its own: not those that feed a hub module or backbone."""
    fed = feeding(hubs, features, backbones)
    return {name: feature for name, feature in features.items() if feature.is_model_input and name not in fed}


def feeding(hubs: Hubs, features: Features, backbones: Backbones = NO_BACKBONES) -> Features:
    """The features that hub modules and backbones read."""
    taken = {name for taker in (*hubs.values(), *backbones.values()) for name in taker.inputs.values()}
    return {name: features[name] for name in sorted(taken)}


def categories(name: str, features: Features) -> CategoryKind:
    """Returns a feature that is known to be categorical."""
    feature = features[name]
    assert isinstance(feature, CategoryKind)
    return feature


def _concatenated(vectors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.keras.layers.Concatenate()(vectors) if len(vectors) > 1 else vectors[0]


def keras_inputs(features: Features) -> Tensors:
    """Symbolic inputs of the features, by name."""
    return {
        name: tf.keras.Input(type_spec=spec, name=f"feature_{name}")
        for feature_name, feature in features.items()
        for name, spec in feature.inputs(feature_name).items()
    }


class TunedModel(tf.keras.Model):
    """A Keras model in which some layers have their own optimizer."""

    layer_optimizers: Mapping[str, tf.keras.optimizers.Optimizer] = {}
    average: WeightAverage | None = None
    """Moving average of the weights, if there is one."""
    penalty: Penalty | None = None
    """Penalty of the weights, if there is one."""

    @property
    def module_generators(self) -> list[tf.random.Generator]:
        """The sources of the random numbers of hub modules, such as dropout, as far as they are known."""
        found = [layer.generator for layer in self.layers if isinstance(layer, HubLayer)]
        return [generator for generator in found if generator is not None]

    def tune(self, optimizers: Mapping[str, tf.keras.optimizers.Optimizer]) -> None:
        """Assigns optimizers to layers by name; the optimizer of `compile` handles the rest. Call this before
        `compile`."""
        self.layer_optimizers = {name: loss_scaled(one, self.dtype_policy) for name, one in optimizers.items()}

    def compile(self, **options: Any) -> None:
        """Also creates the optimizers' variables: created in the first step, they would cause a second tracing."""
        super().compile(**options)
        # The metrics of a step are those of all replicas; by default, Keras would add up those of all workers.
        self.distribute_reduction_method = "first"
        for each, variables in self._shares():
            each.build(variables)

    @property
    def metric_variables(self) -> list[tf.Variable]:
        """The state of all metrics, the loss among them."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def build_metrics(self, target: tf.TensorSpec) -> None:
        """Creates the metrics' state, which Keras would create in the first step.

        Args:
            target: Spec of the targets of a batch.
        """
        targets = tf.zeros([1, *target.shape[1:]], target.dtype)
        predictions = tf.zeros([1, *self.output_shape[1:]])

        def update() -> None:
            self.compute_loss(None, targets, predictions)
            self.compute_metrics(None, targets, predictions, None)

        if self.distribute_strategy.num_replicas_in_sync > 1:
            with self.distribute_strategy.scope():
                self.distribute_strategy.run(update)
        else:
            update()
        self.reset_metrics()

    @property
    def losses(self) -> list[tf.Tensor]:
        """Regularization: the layers' own, and `penalty`."""
        return [*self.layer_losses, *([] if self.penalty is None else [self.penalty()])]

    @property
    def layer_losses(self) -> list[tf.Tensor]:
        """The layers' own regularization losses."""
        return super().losses

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """A training step that updates each variable with the optimizer it belongs to."""
        inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(data)
        shares = self._shares()
        optimizers = [each for each, _ in shares]
        with tf.GradientTape() as tape:
            predictions = self(inputs, training=True)
            loss = self.compute_loss(inputs, labels, predictions, weights)
            loss = scaled(optimizers, share_of_loss(loss, self.losses, tf.shape(labels)[0]))
        gradients = unscaled(optimizers, tape.gradient(loss, [variables for _, variables in shares]))
        for (each, variables), of_each in zip(shares, gradients, strict=True):
            each.apply_gradients(zip(of_each, variables, strict=True))
        if self.average is not None:
            self.average.update()
        return self.compute_metrics(inputs, labels, predictions, None)

    def _shares(self) -> list[tuple[tf.keras.optimizers.Optimizer, list[tf.Variable]]]:
        """Each optimizer with its variables."""
        owned = [(each, self.get_layer(name).trainable_variables) for name, each in self.layer_optimizers.items()]
        taken = {variable.ref() for _, variables in owned for variable in variables}
        rest = [variable for variable in self.trainable_variables if variable.ref() not in taken]
        return [*owned, (self.optimizer, rest)]


def head(config: Head, outputs: int) -> tf.keras.Sequential:
    """Dense layers from vectors, float32 [batch, n], to raw outputs, float32 [batch, outputs].

    The last layer's weights are initialized small, so that no output starts out saturated.
    """
    layers: list[tf.keras.layers.Layer] = []
    dense = partial(tf.keras.layers.Dense, kernel_initializer=config.initializer or "glorot_uniform")
    for number, units in enumerate(config.hidden):
        layers += [tf.keras.layers.Dropout(config.dropout), dense(units, activation="relu", name=f"hidden_{number}")]
    last = tf.keras.layers.Dense(outputs, kernel_initializer=config.initializer or small(), name="outputs")
    layers += [tf.keras.layers.Dropout(config.dropout), last]
    return tf.keras.Sequential(layers, name="head")
