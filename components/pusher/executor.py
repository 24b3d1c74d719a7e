"""Pusher's executor."""

import platform
from collections.abc import Mapping
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.examples import Manifest
from hubline.artifacts.names import BLESSED
from hubline.artifacts.pins import ServedVersion
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
from hubline.serving.history import Event, History, record
from hubline.serving.model_card import CardOfFile, ModelCard, ModuleOrigin, model_digest
from hubline.serving.push import push
from hubline.serving.versions import newest_version

# Custom properties in which TFX's own Pusher records where a model went.
DESTINATION, VERSION, PUSHED = "pushed_destination", "pushed_version", "pushed"
PUBLISHED = "published_module"
"""Custom property with the path of the hub module that the run published, or of the same one published before."""
DIGEST = "digest"
"""Custom property with the digest of the files, if this run pushed them."""

WITHDRAWN = "withdrawn"
"""Custom property with the reason why the model was not pushed, if it was rolled back."""

_RUN_AGAIN = "; nothing was pushed. Run again: the model is then compared with what serves"


class Executor(base_executor.BaseExecutor):
    """Pushes a model if it is blessed, `serving.push` is set and the serving version differs from it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Records the serving version, and whether this run pushed it, on `pushed_model` and in `outcome`.

        Raises:
            RunError: if a blessing is required and missing, or if the serving version is not the one that the model was
                compared with.
        """
        model = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        destination = exec_properties["destination"]

        serving = newest_version(destination)
        blessed = blessing.get_int_custom_property(BLESSED) == 1
        if exec_properties["must_be_blessed"] and not blessed:
            raise RunError(_why_not(blessing.uri))
        pushes = blessed and exec_properties["push"]
        digest = model_digest(model) if pushes else None
        withdrawn = History.read(destination).withdrawal(digest) if digest else None
        pushed = bool(pushes and not withdrawn and not (serving and model_digest(serving) == digest))
        if pushed:
            pinned = exec_properties["serving"]
            compared = ServedVersion.model_validate_json(pinned) if pinned else None
            _refuse_changed(compared, serving)
            decision = _decision(blessing.uri)
            card = _card(input_dict, exec_properties["card"], decision, str(digest))
            serving = push(
                model,
                destination,
                check=lambda: _refuse_moved(compared, newest_version(destination)),
                beside=card.files,
            )
            metrics = {name: value for name, value in decision.metrics.items() if value is not None}
            record(destination, "pushed", int(_number(serving)), str(digest), metrics=metrics)

        published = None
        if pushes and not withdrawn and exec_properties["publish_to"]:
            published = _publish(input_dict["module"], blessing.uri, exec_properties["publish_to"], serving)
        artifact = artifact_utils.get_single_instance(output_dict["pushed_model"])
        artifact.set_int_custom_property(PUSHED, int(pushed))
        if pushed:
            artifact.set_string_custom_property(DIGEST, digest)
        if withdrawn:
            artifact.set_string_custom_property(WITHDRAWN, _why_withdrawn(withdrawn))
        if published:
            artifact.set_string_custom_property(PUBLISHED, published)
        if serving:
            artifact.set_string_custom_property(DESTINATION, serving)
            artifact.set_string_custom_property(VERSION, serving.rpartition("/")[2])
        outcome = artifact_utils.get_single_instance(output_dict["outcome"])
        text = pushed_text(serving if pushed else None, serving, destination, published)
        text += f"\n{escaped(_why_withdrawn(withdrawn))}\n" if withdrawn else ""
        show(outcome, "What was pushed", text)


def _card(input_dict: Mapping[str, Any], of_file: str, decision: Decision, digest: str) -> ModelCard:
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
        decision=decision,
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


def _refuse_changed(compared: ServedVersion | None, serving: str | None) -> None:
    _refuse_moved(compared, serving)
    if compared and serving and model_digest(serving) != compared.digest:
        raise RunError(f"{serving}: its files have changed since the model was compared with it{_RUN_AGAIN}")


def _refuse_moved(compared: ServedVersion | None, serving: str | None) -> None:
    if (compared and _number(compared.path)) == (serving and _number(serving)):
        return
    before = f"with {compared.path}" if compared else "when no version served"
    now = f"{serving} serves now" if serving else "no version serves now"
    raise RunError(f"{now}, but the model was compared {before}{_RUN_AGAIN}")


def _why_withdrawn(event: Event) -> str:
    return (
        f"the model was not pushed: the same one was rolled back as version {event.version} on {event.at[:10]} by "
        f"{event.by}: {event.reason}; `hubline models promote` has it serve again"
    )


def _number(version: str) -> str:
    return version.rstrip("/").rpartition("/")[2]


def _why_not(blessing: str) -> str:
    reasons = [check.reason for check in _decision(blessing).checks if not check.passed]
    return "\n".join(["the model is not blessed, and nothing was pushed", *reasons])
