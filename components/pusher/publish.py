"""Publishes a fine-tuned hub module as the next version in a folder of modules."""

import tempfile

from hubline.artifacts.decision import Metrics
from hubline.components.exporter.card import ModuleCard
from hubline.core import storage
from hubline.serving.push import push
from hubline.serving.versions import newest_version


def publish(module: str, card: ModuleCard, destination: str, metrics: Metrics, model: str | None) -> str:
    """Publishes a module with its card, unless it is the newest version already.

    Args:
        module: The module's folder.
        card: Its card.
        destination: The folder of versions.
        metrics: Test metrics of the model that it was trained in.
        model: Path of that model in serving.

    Returns:
        Path of the version: a handle.

    Raises:
        UserError: if the folder cannot be written.
    """
    newest = newest_version(destination)
    there = ModuleCard.read(newest) if newest else None
    if newest and there and there.sha256 == card.sha256:
        return newest
    with tempfile.TemporaryDirectory() as folder:
        storage.copy_tree(module, folder)
        card.model_copy(update={"metrics": metrics, "model": model}).write(folder)
        return push(folder, destination, "folder of modules")
