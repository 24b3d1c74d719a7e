"""Which epochs train what, and on what they are fed."""

from dataclasses import dataclass
from itertools import pairwise

from hubline.core.config_base import Section
from hubline.preprocessing.config import Features, Label, images
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.backbones.config import NO_BACKBONES, Backbones, trained_from_the_start
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hubs, augmenting_hubs, fed_hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


@dataclass(frozen=True)
class Phase:
    """Some epochs in a row in which the same parts of the model are trained."""

    first: int
    """The first of its epochs, counted from 0 over the whole training."""
    end: int
    """The epoch after its last."""
    tuned: frozenset[str]
    """The hub modules and backbones that are trained with the head."""
    on_vectors: bool
    """Whether the head is fed what the modules gave once and for all, so that the modules need not run."""


def needs_pictures(label: Label, features: Features) -> bool:
    """Whether what is true of a picture, or said of it, depends on what is cut off of it, or laid around it, to make it
    fit: the rows beside kept vectors do not know what that is. What is said of each pixel depends on it anyway."""
    if isinstance(label, PixelsLabel):
        return True
    return isinstance(label, ClassAndBoxLabel) and images(features)[label.image].fit != "stretch"


def phases(
    model: Model, training: Training, backbones: Backbones = NO_BACKBONES, needs_pictures: bool = False
) -> list[Phase]:
    """The phases of a training, in their order.

    The head is trained alone until the first module's `after_epochs`. As long as no module changes, and the images are
    not changed anew in each epoch, it is fed kept vectors; unless the label `needs_pictures`. What backbones give is
    not kept: they run in every epoch.
    """
    from_the_start = trained_from_the_start(backbones, model)
    starts = {min(tune.after_epochs, training.epochs) for tune in model.fine_tune.values()}
    bounds = sorted({0, *starts, training.epochs})
    keeps = not (backbones or needs_pictures) and (not training.augment or training.cache_views is not None)
    return [
        Phase(first, end, tuned := _tuned(model, first) | from_the_start, on_vectors=keeps and not tuned)
        for first, end in pairwise(bounds)
    ]


def stays_frozen(model: Model, training: Training, backbones: Backbones = NO_BACKBONES) -> bool:
    """Whether the model is a head on modules that the training does not change, so that it can be fed kept vectors."""
    return not backbones and not any(phase.tuned for phase in phases(model, training))


def _tuned(model: Model, epoch: int) -> frozenset[str]:
    return frozenset(name for name, tune in model.fine_tune.items() if tune.after_epochs <= epoch)


class Kept(Section):
    """Of which splits the modules' output is needed, so that it is worth keeping."""

    views: int
    """How many views of each example of the training split; 0 where the modules see them anew in every epoch."""
    splits: tuple[str, ...]
    """The splits that vectors are kept of."""
    augment: tuple[Augmentation, ...] = ()
    """How the views are changed."""
    seed: int = 0
    """What draws the changes."""

    @classmethod
    def of(
        cls, model: Model, training: Training, backbones: Backbones = NO_BACKBONES, needs_pictures: bool = False
    ) -> "Kept":
        """What a training, and the evaluation behind it, can use."""
        on_vectors = any(phase.on_vectors for phase in phases(model, training, backbones, needs_pictures))
        test = stays_frozen(model, training, backbones) and not needs_pictures
        used = {"train": on_vectors, "validation": on_vectors, "test": test}
        splits = tuple(split for split, needed in used.items() if needed)
        if not on_vectors or training.cache_views is None:
            return cls(views=int(on_vectors), splits=splits)
        return cls(views=training.cache_views, splits=splits, augment=training.changes, seed=training.seed)

    def hubs(self, hubs: Hubs) -> Hubs:
        """The modules that are run for it: those that give vectors, and those that change the views."""
        named = {change.hub for change in self.augment}
        return fed_hubs(hubs) | {name: hub for name, hub in augmenting_hubs(hubs).items() if name in named}
