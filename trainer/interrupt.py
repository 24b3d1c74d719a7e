"""Stops training when the process was asked to stop."""

from typing import Any

import tensorflow as tf

from hubline.core import interruption


class StopWhenInterrupted(tf.keras.callbacks.Callback):
    """Raises Interrupted before the next batch of training or validation, the next epoch, or the export."""

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        interruption.check()

    def on_train_batch_begin(self, *_: Any, **__: Any) -> None:
        interruption.check()

    def on_test_batch_begin(self, *_: Any, **__: Any) -> None:
        interruption.check()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        interruption.check()
