"""Training phases: which epochs train what, and from which inputs."""

from dataclasses import dataclass
from itertools import pairwise

from hubline.trainer.backbones.config import NO_BACKBONES, Backbones, trained_from_the_start
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.kept import Kept


@dataclass(frozen=True)
class Phase:
    """Consecutive epochs that train the same parts of the model."""

    first: int
    """First epoch, counted from 0 over the whole training."""
    end: int
    """The epoch after the last one."""
    tuned: frozenset[str]
    """Hub modules and backbones that are trained with the head."""
    on_vectors: bool
    """Whether the head is fed cached vectors, so that the modules need not run."""


_UNKNOWN = 1_000_000_000
"""Epochs of a training whose length depends on the number of examples: more than any module stays frozen for."""


def phases(
    model: Model,
    training: Training,
    backbones: Backbones = NO_BACKBONES,
    needs_pictures: bool = False,
    epochs: int | None = None,
) -> list[Phase]:
    """The phases of a training, in order.

    The head is trained alone until the first module's `after_epochs`. As long as no module changes and images are not
    augmented anew in each epoch, the head is fed cached vectors, unless the label `needs_pictures`. Backbone outputs
    are not cached: backbones run in every epoch.

    Args:
        model: The modules to fine-tune.
        training: The training.
        backbones: Backbones other than hub modules.
        needs_pictures: Whether the label does.
        epochs: Number of epochs, which only the Trainer knows if `training` counts steps or examples.
    """
    from_the_start = trained_from_the_start(backbones, model)
    most = epochs or training.epochs or _UNKNOWN
    starts = {min(tune.after_epochs, most) for tune in model.fine_tune.values()}
    bounds = sorted({0, *starts, most})
    keeps = not (backbones or needs_pictures) and (not training.augment or training.cache_views is not None)
    return [
        Phase(first, end, tuned := _tuned(model, first) | from_the_start, on_vectors=keeps and not tuned)
        for first, end in pairwise(bounds)
    ]


def stays_frozen(model: Model, training: Training, backbones: Backbones = NO_BACKBONES) -> bool:
    """Whether training changes none of the modules, so that the model can predict from cached vectors."""
    return not backbones and not any(phase.tuned for phase in phases(model, training))


def _tuned(model: Model, epoch: int) -> frozenset[str]:
    return frozenset(name for name, tune in model.fine_tune.items() if tune.after_epochs <= epoch)


def kept_for(
    model: Model, training: Training, backbones: Backbones = NO_BACKBONES, needs_pictures: bool = False
) -> Kept:
    """The vectors that a training and its evaluation can use."""
    on_vectors = any(phase.on_vectors for phase in phases(model, training, backbones, needs_pictures))
    test = stays_frozen(model, training, backbones) and not needs_pictures
    used = {"train": on_vectors, "validation": on_vectors, "test": test}
    splits = tuple(split for split, needed in used.items() if needed)
    if not on_vectors or training.cache_views is None:
        return Kept(views=int(on_vectors), splits=splits)
    return Kept(views=training.cache_views, splits=splits, augment=training.changes, seed=training.seed)
