"""Pusher's executor."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.delivery import APPROVE, DESTINATION, DIGEST, PUBLISHED, PUSHED, VERSION, WAITING, WITHDRAWN
from hubline.artifacts.examples import Manifest
from hubline.artifacts.names import BLESSED
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.components import module_channels
from hubline.components.dashboard.artifacts import show
from hubline.components.dashboard.markdown import escaped, pushed_text
from hubline.components.exporter.card import ModuleCard
from hubline.components.input_artifacts import module_folder
from hubline.components.pusher.publish import publish
from hubline.core import storage
from hubline.core.code_digest import STACK
from hubline.core.errors import RunError
from hubline.core.package_versions import version
from hubline.serving.approval import command, record_push, why_withdrawn
from hubline.serving.compared import refuse_changed, refuse_moved
from hubline.serving.history import History
from hubline.serving.model_card import CardOfFile, ModelCard, ModuleOrigin, model_digest
from hubline.serving.push import push
from hubline.serving.retention import prune
from hubline.serving.versions import newest_version, number_of
from hubline.serving.waiting import wait


@dataclass(frozen=True)
class _Delivery:
    """What became of a model."""

    serving: str | None
    """Path of the version that serves now."""
    digest: str | None = None
    """SHA-256 of the model's files; None if the model was not to be delivered."""
    pushed: bool = False
    waiting: str | None = None
    """The folder in which the model waits for approval."""
    command: str = ""
    """The command that approves a waiting model."""
    withdrawn: str = ""
    """Why the model was not pushed, if it was rolled back."""

    @property
    def serves(self) -> bool:
        return self.digest is not None and not (self.waiting or self.withdrawn)


class Executor(base_executor.BaseExecutor):
    """Pushes a blessed model that passed ServingCheck, if `serving.push` is set and the serving version differs. With
    `serving.approval`, a model waits instead, whatever the verdict."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Records the serving version, and whether this run pushed it, on `pushed_model` and in `outcome`.

        Raises:
            RunError: if a blessing is required and missing, or if the serving version is not the one that the model was
                compared with.
            UserError: if the serving folder can't be written.
        """
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        checked = _checked(input_dict)
        blessed = blessing.get_int_custom_property(BLESSED) == 1 and (checked is None or checked.passed)
        delivery = _deliver(input_dict, exec_properties, blessed)
        if exec_properties["push"] and exec_properties["keep"]:
            prune(exec_properties["destination"], exec_properties["keep"])
        if exec_properties["must_be_blessed"] and not blessed:
            raise RunError(_why_not(blessing.uri, checked, delivery.command))
        published = None
        if delivery.serves and exec_properties["publish_to"]:
            published = _publish(input_dict["module"], blessing.uri, exec_properties["publish_to"], delivery.serving)
        _describe(artifact_utils.get_single_instance(output_dict["pushed_model"]), delivery, published)
        text = pushed_text(
            delivery.serving if delivery.pushed else None, delivery.serving, exec_properties["destination"], published
        )
        text += f"\n{escaped(delivery.withdrawn)}\n" if delivery.withdrawn else ""
        text += f"\nThe model waits for approval: `{delivery.command}`\n" if delivery.waiting else ""
        show(artifact_utils.get_single_instance(output_dict["outcome"]), "What was pushed", text)


def _deliver(input_dict: dict, exec_properties: dict[str, Any], blessed: bool) -> _Delivery:
    """Pushes the model, or lays it where it waits for approval, unless it serves already or was rolled back."""
    destination, asks = exec_properties["destination"], exec_properties["approval"] == "required"
    serving = newest_version(destination)
    if not exec_properties["push"] or not (blessed or asks):
        return _Delivery(serving)
    model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
    digest = model_digest(model)
    history = History.read(destination)
    if withdrawn := history.withdrawal(digest):
        return _Delivery(serving, digest, withdrawn=why_withdrawn(withdrawn))
    if serving and model_digest(serving) == digest:
        if history.made(number_of(serving)) is None:  # a run was killed between its push and this record
            found = ModelCard.read(serving) or _card(input_dict, exec_properties["card"], digest)
            record_push(destination, number_of(serving), found)
        return _Delivery(serving, digest)
    pinned = exec_properties["serving"]
    compared = ServedVersion.model_validate_json(pinned) if pinned else None
    refuse_changed(compared, serving)
    card = _card(input_dict, exec_properties["card"], digest)
    if asks:
        waiting = wait(model, destination, card, compared, exec_properties["keep"] or None)
        return _Delivery(serving, digest, waiting=waiting, command=command(destination, digest, override=not blessed))
    pushed = push(
        model, destination, check=lambda: refuse_moved(compared, newest_version(destination)), beside=card.files
    )
    record_push(destination, number_of(pushed), card)
    return _Delivery(pushed, digest, pushed=True)


def _describe(artifact: Any, delivery: _Delivery, published: str | None) -> None:
    """Records what became of a model on the artifact `pushed_model`."""
    artifact.set_int_custom_property(PUSHED, int(delivery.pushed))
    texts = {
        DIGEST: delivery.digest if delivery.pushed else None,
        WITHDRAWN: delivery.withdrawn,
        WAITING: delivery.waiting,
        APPROVE: delivery.command,
        PUBLISHED: published,
        DESTINATION: delivery.serving,
        VERSION: delivery.serving and delivery.serving.rpartition("/")[2],
    }
    for name, text in texts.items():
        if text:
            artifact.set_string_custom_property(name, text)


def _checked(input_dict: Mapping[str, Any]) -> ServingCheckResult | None:
    """The result of ServingCheck; None if the file leaves it out."""
    if not input_dict.get("serving_check"):
        return None
    return ServingCheckResult.read(artifact_utils.get_single_uri(input_dict["serving_check"]))


def _card(input_dict: Mapping[str, Any], of_file: str, digest: str) -> ModelCard:
    modules = module_channels.artifacts(input_dict).items()
    return ModelCard(
        **dict(CardOfFile.model_validate_json(of_file)),
        examples=Manifest.read(artifact_utils.get_single_uri(input_dict["examples"])).counts,
        modules={
            name: ModuleOrigin(
                handle=artifact.get_string_custom_property("handle"),
                sha256=artifact.get_string_custom_property("sha256"),
            )
            for name, artifact in modules
        },
        decision=_decision(artifact_utils.get_single_uri(input_dict["blessing"])),
        serving_check=_checked(input_dict),
        versions={"python": platform.python_version()} | {name: version(name) for name in STACK},
        digest=digest,
    )


def _publish(module: list[Any], blessing: str, destination: str, model: str | None) -> str:
    folder = artifact_utils.get_single_uri(module)
    card = ModuleCard.read(folder)
    assert card is not None  # Exporter writes it next to the module
    return publish(module_folder(module), card, destination, _decision(blessing).metrics, model)


def _decision(blessing: str) -> Decision:
    with storage.open_binary(f"{blessing}/{DECISION}") as file:
        return Decision.model_validate_json(file.read())


def _why_not(blessing: str, checked: ServingCheckResult | None, command: str) -> str:
    lines = ["the model is not blessed, and nothing was pushed", *_decision(blessing).failures]
    lines += checked.faults if checked else ()
    return "\n".join([*lines, f"To push it anyway: {command}"] if command else lines)
