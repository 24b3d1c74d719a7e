"""Ends a training that the process was asked to end."""

from typing import Any

import tensorflow as tf

from hubline.core import interruption


class StopWhenInterrupted(tf.keras.callbacks.Callback):
    """Raises Interrupted before the next batch of training or validation, or the next epoch."""

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """Looks before an epoch."""
        interruption.check()

    def on_train_batch_begin(self, *_: Any, **__: Any) -> None:
        """Looks before a batch of training."""
        interruption.check()

    def on_test_batch_begin(self, *_: Any, **__: Any) -> None:
        """Looks before a batch of validation."""
        interruption.check()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Looks before the model is exported."""
        interruption.check()
