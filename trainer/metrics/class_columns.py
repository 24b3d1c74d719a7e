"""How labels and predictions of classes are stored.

With one class per record, labels are class indices, [batch] or [batch, n] with the index first, and predictions begin
with the scores, [batch, classes or more]. For a label of kind `binary`, the decisions follow, 1 for the class that the
model predicts and 0 for the other, [batch, 4]. With `several` classes per record, labels are 0 or 1 for each class,
[batch, classes], and predictions are the scores followed by the decisions, 1 or 0, [batch, 2 x classes].
"""

import tensorflow as tf


def membership(y_true: tf.Tensor, classes: int, several: bool) -> tf.Tensor:
    """The classes of each record, bool [batch, classes]."""
    if several:
        return tf.reshape(y_true, [-1, classes]) > 0
    return indices(y_true)[:, tf.newaxis] == tf.range(classes)


def indices(y_true: tf.Tensor) -> tf.Tensor:
    """The class index of each record, int32 [batch]."""
    return tf.cast(tf.reshape(y_true, [tf.shape(y_true)[0], -1])[:, 0], tf.int32)


def decisions(y_pred: tf.Tensor, classes: int, decided: bool) -> tf.Tensor:
    """The predicted classes of each record, bool [batch, classes]: those decided on, if the predictions have decisions,
    or the one with the highest score."""
    if decided:
        return y_pred[:, classes : 2 * classes] > 0.5
    best = tf.argmax(y_pred[:, :classes], axis=1, output_type=tf.int32)
    return best[:, tf.newaxis] == tf.range(classes)
