"""Looks at the model that serves today: whether it answers the label that the next one will."""

import json
from collections.abc import Iterator

from hubline.components.config.serving import Serving
from hubline.components.predictor.label_answers import ANSWERS
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.config_errors import PlacedError
from hubline.core.digest import words_digest
from hubline.core.errors import UserError
from hubline.preprocessing.config import Label
from hubline.serving.versions import newest_version
from hubline.trainer.export_format import PREDICT

_MEANINGS = "assets.extra/meanings.json"


def the_serving_model_answers_the_label(serving: Serving, label: Label) -> Iterator[PlacedError]:
    if is_remote(serving.destination) or (version := newest_version(serving.destination)) is None:
        return
    outputs = _outputs_of(version)
    kinds = [kind for kind, part in ANSWERS.by_kind.items() if part.outputs == outputs]
    if kinds and label.kind not in kinds:
        said = f"answers a label of kind {' or '.join(kinds)}, and this file has one of kind {label.kind}"
    elif kinds and label.named_classes and _classes_of(version) not in (None, words_digest(label.named_classes)):
        said = "answers other classes than this file's, or the same in another order"
    else:
        return
    yield (
        ("serving", "destination"),
        f"{version}: the model in serving {said}; if this is another pipeline's folder, set a folder of its own",
    )


def _outputs_of(version: str) -> frozenset[str]:
    """Names of an exported model's outputs; empty for another program's model."""
    # Imported here because most serving folders are empty when a pipeline is written.
    from hubline.trainer.saved_model import SavedModel

    with storage.open_binary(f"{version}/saved_model.pb") as file:
        content = file.read()
    try:
        signatures = SavedModel.parse(content, version).graph.signature_def
    except UserError:
        return frozenset()
    return frozenset(signatures[PREDICT].outputs) if PREDICT in signatures else frozenset()


def _classes_of(version: str) -> str | None:
    """Digest of an exported model's classes; None if it is unknown, or the file is damaged."""
    path = f"{version}/{_MEANINGS}"
    if not storage.exists(path):
        return None
    try:
        with storage.open_binary(path) as file:
            meanings = json.load(file)
    except ValueError:
        return None
    return meanings.get("classes") if isinstance(meanings, dict) else None


DOUBTS = (the_serving_model_answers_the_label,)
