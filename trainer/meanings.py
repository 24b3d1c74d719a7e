"""What the rows and columns of a model's variables stand for.

Two models can have variables of the same name and shape whose rows stand for other words or classes. A warm start that
took them would begin with a model that is wrong.
"""

from collections.abc import Collection, Iterable

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.digest import words_digest
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.trainer.checkpoint_files import VARIABLES
from hubline.trainer.task import CLASSES, Task

FILE = "meanings.json"
"""File next to kept checkpoints."""
EXPORTED = f"assets.extra/{FILE}"
"""The same in the folder of an exported model."""

_OUTPUTS = ("head/outputs/", "decoder_outputs/", "linear_")
"""Beginnings of the variables with one column per class."""
_FIRST = ("head/hidden_0/kernel", "head/outputs/kernel")
"""The variables with one row per input of the head; the first that the model has."""


class Meanings(Section):
    """Digests and names; models whose variables mean the same have equal ones."""

    words: dict[str, str] = {}
    """Digest of the words of a vocabulary in order, by feature."""
    inputs: tuple[str, ...] | None = None
    """Inputs of the head in order: hub modules, backbones and features; None if unknown."""
    classes: str | None = None
    """Digest of the classes in order; None if there are none or they are unknown."""

    @classmethod
    def of(
        cls,
        features: Features,
        modules: Iterable[str],
        deep: Iterable[str],
        task: Task,
        transform: tft.TFTransformOutput,
    ) -> "Meanings":
        """The meanings of a model.

        Args:
            features: The model's own features.
            modules: Hub modules and backbones in the order of the head's inputs.
            deep: The features that the head reads, in order.
            task: Names the classes.
            transform: Provides the vocabularies.
        """
        categories = {name: feature for name, feature in features.items() if isinstance(feature, CategoryKind)}
        return cls(
            words={
                name: words_digest(word.decode(errors="surrogateescape") for word in feature.words(name, transform))
                for name, feature in categories.items()
                if feature.has_words
            },
            inputs=(*modules, *deep),
            classes=_classes(task),
        )

    @classmethod
    def read_for(cls, prefix: str) -> "Meanings":
        """The meanings stored with a checkpoint; unknown ones if it isn't Hubline's."""
        folder = prefix.rpartition("/")[0]
        exported = prefix.removesuffix(VARIABLES) + EXPORTED if prefix.endswith(f"/{VARIABLES}") else None
        for path in filter(None, (f"{folder}/{FILE}", exported)):
            if storage.exists(path):
                with storage.open_binary(path) as file:
                    return cls.model_validate_json(file.read())
        return cls()

    def write(self, path: str) -> None:
        storage.write_text(path, self.model_dump_json())

    def conflicts(self, source: "Meanings", model: Collection[str], taken: Collection[str]) -> list[str]:
        """What is wrong with taking variables of another model, whose meanings are known in part.

        Args:
            source: Meanings of the other model.
            model: Names of this model's variables.
            taken: Those of them that are taken from the other model.
        """
        first = [name for name in _FIRST if name in model][:1]
        found = []

        def refuse(names: Iterable[str], reason: str) -> None:
            if affected := [name for name in names if name in taken]:
                listed = ", ".join(map(repr, affected))
                found.append(f"{reason}, so {listed} can't be taken; list it in `except`")

        for feature in sorted(self.words.keys() & source.words.keys()):
            if self.words[feature] != source.words[feature]:
                own = [name for name in model if name.startswith((f"embedded_{feature}/", f"linear_{feature}/"))]
                refuse(own or first, f"the vocabulary of '{feature}' is another one in the source")
        if None not in (self.inputs, source.inputs) and self.inputs != source.inputs:
            theirs, mine = (", ".join(inputs or ()) for inputs in (source.inputs, self.inputs))
            refuse(first, f"the head reads {mine}, and that of the source reads {theirs}")
        if None not in (self.classes, source.classes) and self.classes != source.classes:
            of_classes = [name for name in model if name.startswith(_OUTPUTS)]
            refuse(of_classes, "the source has other classes, or the same in another order")
        return found


def _classes(task: Task) -> str | None:
    answer = task.answer(tf.zeros([1, task.outputs]))
    return (
        words_digest(name.decode(errors="surrogateescape") for name in answer[CLASSES].numpy().ravel())
        if CLASSES in answer
        else None
    )
