"""Type of a property of Embedder."""

from hubline.core.config_base import Section
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hubs, augmenting_hubs, fed_hubs


class Kept(Section):
    """The splits and views whose module outputs are worth caching."""

    views: int
    """Views of each example of the training split; 0 if modules see new views in every epoch."""
    splits: tuple[str, ...]
    """Splits whose vectors are cached."""
    augment: tuple[Augmentation, ...] = ()
    """Augmentations of the views."""
    seed: int = 0
    """Seed of the augmentations."""

    def hubs(self, hubs: Hubs) -> Hubs:
        """The modules to run: those that produce vectors, and those that augment the views."""
        named = {change.hub for change in self.augment}
        return fed_hubs(hubs) | {name: hub for name, hub in augmenting_hubs(hubs).items() if name in named}
