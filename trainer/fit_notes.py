"""Notes about how a training went."""

from hubline.trainer.checkpoints import EarlyStoppingState
from hubline.trainer.training_notes import Note


def module_penalty(penalty: float, epoch: int) -> Note:
    """A module's own regularization, which adds `penalty` to the loss, starts to count in an epoch."""
    text = (
        f"from epoch {epoch} on the loss includes the regularization of the hub module that is fine-tuned, "
        f"{penalty:.4g}; it is not comparable with the loss of the epochs before"
    )
    return Note(kind="regularization", text=text, epoch=epoch)


def undefined_monitor(monitor: str, epochs: int) -> Note:
    """The monitored metric had no value in any of some epochs."""
    text = f"{monitor} was undefined in every epoch, so no epoch could be selected by it; epoch {epochs} was kept"
    return Note(kind="undefined", text=text, epoch=epochs)


def stopped_early(stopping: EarlyStoppingState, epochs: int) -> Note:
    """Early stopping ended the training after a number of epochs."""
    text = (
        f"training stopped after epoch {epochs}, as {stopping.wait} epochs had brought no improvement; the weights "
        f"of epoch {stopping.best_epoch + 1} were kept"
    )
    return Note(kind="stopped_early", text=text, epoch=epochs)
