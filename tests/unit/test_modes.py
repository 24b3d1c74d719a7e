"""Batch normalization and dropout of a hub module that is trained, not yet trained, partly trained, or frozen."""

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.config import Features, ImageFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.hub_layer import HubLayer
from hubline.trainer.saved_model_loader import open_module

FEATURES: Features = {"photo": ImageFeature(kind="image", size=(4, 4), **{"from": "image"})}
PIXELS = np.random.default_rng(0).integers(0, 256, [32, 4, 4, 3], np.uint8)
MOMENTUM = 0.75


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([4, 4, 3]),
            layers.Flatten(),
            layers.BatchNormalization(momentum=MOMENTUM, name="norm"),
            layers.Dropout(0.5),
        ]
    )
    path = str(tmp_path_factory.mktemp("modes"))
    tf.saved_model.save(model, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tuned", "is_on", "is_trained"),
    [
        (VariableSelection(), True, True),
        (VariableSelection(), False, False),
        (VariableSelection(variables=("gamma",)), True, False),
        (None, True, False),
    ],
    ids=["trained", "before its phase", "partly trained", "frozen"],
)
def test_statistics_and_dropout_follow_the_mode(
    module: str, tuned: VariableSelection | None, is_on: bool, is_trained: bool
) -> None:
    layer = HubLayer(Hub(handle="m", inputs={"images": "photo"}), open_module(module), FEATURES, "net", tuned)
    layer.trainable = is_on and tuned is not None
    batch, given = {"photo": tf.constant(PIXELS)}, np.reshape(PIXELS / 255, [32, -1])
    statistics = {
        name: part
        for part in tf.train.TrackableView(layer.module).descendants()
        if isinstance(part, tf.Variable)
        for name in ("moving_mean", "moving_variance")
        if name in part.name
    }
    trained = np.asarray(tf.function(layer)(batch, training=True))
    if is_trained:
        scaled = 2 * (given - given.mean(axis=0)) / np.sqrt(given.var(axis=0) + 1e-3)
        dropped = trained == 0
        assert 0.4 < dropped.mean() < 0.6
        np.testing.assert_allclose(trained[~dropped], scaled[~dropped], rtol=1e-3, atol=1e-4)
        mean, variance = (1 - MOMENTUM) * given.mean(axis=0), MOMENTUM + (1 - MOMENTUM) * given.var(axis=0)
    else:
        np.testing.assert_allclose(trained, given / np.sqrt(1 + 1e-3), rtol=1e-4, atol=1e-5)
        mean, variance = np.zeros(48), np.ones(48)
    for _ in range(2):  # evaluation uses the statistics, and changes nothing
        np.testing.assert_allclose(statistics["moving_mean"], mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(statistics["moving_variance"], variance, rtol=1e-2)
        evaluated = layer(batch, training=False)
        expected = (given - statistics["moving_mean"]) / np.sqrt(statistics["moving_variance"] + 1e-3)
        np.testing.assert_allclose(evaluated, expected, rtol=1e-3, atol=1e-4)
