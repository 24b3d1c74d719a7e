"""LeNet-5.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-Based Learning Applied to Document Recognition. Proceedings of the
IEEE 86(11), 1998.
"""

import tensorflow as tf


def lenet5(height: int, width: int, channels: int) -> tf.keras.Model:
    """The layers C1 to F6: float32 [batch, height, width, channels] to [batch, 84].

    As in the paper, a hyperbolic tangent follows each layer. The usual simplifications differ from the paper: S2 and S4
    have no weights, each map of C3 sees all of S2, and the tangent is not scaled. C5, in the paper a convolution over
    the whole 5 x 5 output of S4, is dense, which allows other image sizes from 16 x 16 on.
    """
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            layers.Input([height, width, channels]),
            layers.Conv2D(6, 5, activation="tanh", name="c1"),
            layers.AveragePooling2D(2, name="s2"),
            layers.Conv2D(16, 5, activation="tanh", name="c3"),
            layers.AveragePooling2D(2, name="s4"),
            layers.Flatten(name="flat"),
            layers.Dense(120, activation="tanh", name="c5"),
            layers.Dense(84, activation="tanh", name="f6"),
        ],
        name="lenet5",
    )
