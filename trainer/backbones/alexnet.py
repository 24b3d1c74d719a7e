"""AlexNet.

A. Krizhevsky, I. Sutskever, G. E. Hinton: ImageNet Classification with Deep Convolutional Neural Networks. Advances in
Neural Information Processing Systems 25, 2012.
"""

import tensorflow as tf


def alexnet(height: int, width: int, channels: int, dropout: float) -> tf.keras.Model:
    """The five convolutions and the first two dense layers: float32 [batch, height, width, channels] to [batch, 4096].

    The network has a single tower: each convolution sees all feature maps, which the paper split over two GPUs. Images
    of 224 pixels are padded by two pixels on each side, as the paper's layer sizes require. Weights are initialized as
    in the paper: from a normal distribution with standard deviation 0.01; biases of the second, fourth and fifth
    convolution and of the dense layers are 1.
    """
    layers = tf.keras.layers

    def convolution(number: int, filters: int, size: int, strides: int = 1) -> tf.keras.layers.Layer:
        return layers.Conv2D(
            filters,
            size,
            strides,
            padding="valid" if strides > 1 else "same",
            activation="relu",
            kernel_initializer=_weights(),
            bias_initializer="ones" if number in (2, 4, 5) else "zeros",
            name=f"conv{number}",
        )

    def dense(number: int) -> tf.keras.layers.Layer:
        return layers.Dense(
            4096, activation="relu", kernel_initializer=_weights(), bias_initializer="ones", name=f"fc{number}"
        )

    return tf.keras.Sequential(
        [
            layers.Input([height, width, channels]),
            layers.ZeroPadding2D(2, name="pad"),
            convolution(1, 96, 11, strides=4),
            layers.Lambda(_normalized, name="norm1"),
            layers.MaxPooling2D(3, 2, name="pool1"),
            convolution(2, 256, 5),
            layers.Lambda(_normalized, name="norm2"),
            layers.MaxPooling2D(3, 2, name="pool2"),
            convolution(3, 384, 3),
            convolution(4, 384, 3),
            convolution(5, 256, 3),
            layers.MaxPooling2D(3, 2, name="pool5"),
            layers.Flatten(name="flat"),
            layers.Dropout(dropout, name="drop6"),
            dense(6),
            layers.Dropout(dropout, name="drop7"),
            dense(7),
        ],
        name="alexnet",
    )


def _normalized(maps: tf.Tensor) -> tf.Tensor:
    """Local response normalization across channels (section 3.3)."""
    return tf.nn.local_response_normalization(maps, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)


def _weights() -> tf.keras.initializers.Initializer:
    """A new initializer for each layer, because a Keras initializer returns the same values each time it is called."""
    return tf.keras.initializers.RandomNormal(stddev=0.01)
