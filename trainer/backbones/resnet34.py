"""ResNet-34, with or without squeeze and excitation.

K. He, X. Zhang, S. Ren, J. Sun: Deep Residual Learning for Image Recognition. arXiv:1512.03385, 2015.
J. Hu, L. Shen, G. Sun: Squeeze-and-Excitation Networks. arXiv:1709.01507, 2017.
"""

import tensorflow as tf

_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Number of filters and of blocks in each stage (table 1 of He et al.)."""

_REDUCTION = 16
"""Reduction ratio of the squeezed channels (Hu et al.)."""


def resnet34(height: int, width: int, channels: int, squeeze_and_excitation: bool) -> tf.keras.Model:
    """All layers but the classifier: float32 [batch, height, width, channels] to [batch, 512].

    Batch normalization follows each convolution, before the ReLU; convolutions have no bias. The shortcut at the start
    of a stage is a 1 x 1 convolution (option B). Strided layers are padded equally on all sides.
    """
    layers = tf.keras.layers
    pixels = layers.Input([height, width, channels])
    values = _convolution(pixels, 64, 7, strides=2, name="conv1")
    values = layers.ReLU(name="conv1_relu")(values)
    values = layers.ZeroPadding2D(1, name="pool1_pad")(values)  # zeros are neutral: the ReLU's output isn't negative
    values = layers.MaxPooling2D(3, 2, name="pool1")(values)
    for stage, (filters, blocks) in enumerate(_STAGES, start=2):
        for block in range(1, blocks + 1):
            strides = 2 if block == 1 and stage > 2 else 1
            values = _block(values, filters, strides, squeeze_and_excitation, name=f"conv{stage}_{block}")
    return tf.keras.Model(pixels, layers.GlobalAveragePooling2D(name="pool5")(values), name="resnet34")


def _block(values: tf.Tensor, filters: int, strides: int, excited: bool, name: str) -> tf.Tensor:
    """Two convolutions with a shortcut."""
    layers = tf.keras.layers
    shortcut = values if strides == 1 else _convolution(values, filters, 1, strides, name=f"{name}_shortcut")
    values = layers.ReLU(name=f"{name}_relu1")(_convolution(values, filters, 3, strides, name=f"{name}_a"))
    values = _convolution(values, filters, 3, 1, name=f"{name}_b")
    if excited:
        values = layers.Multiply(name=f"{name}_scaled")([values, _excitation(values, filters, name)])
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([values, shortcut]))


def _excitation(values: tf.Tensor, filters: int, name: str) -> tf.Tensor:
    """The weight of each channel, [batch, 1, 1, filters]; without biases, as in equation 3 of Hu et al."""
    layers = tf.keras.layers
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(values)
    reduced = layers.Dense(filters // _REDUCTION, "relu", use_bias=False, name=f"{name}_reduce")(squeezed)
    return layers.Dense(filters, "sigmoid", use_bias=False, name=f"{name}_excite")(reduced)


def _convolution(values: tf.Tensor, filters: int, size: int, strides: int, name: str) -> tf.Tensor:
    layers = tf.keras.layers
    if size > 1:
        values = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(values)
    values = layers.Conv2D(filters, size, strides, use_bias=False, kernel_initializer="he_normal", name=name)(values)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(values)
