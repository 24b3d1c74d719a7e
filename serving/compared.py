"""Refuses to push a model over a version that it was not compared with."""

from hubline.artifacts.pins import ServedVersion
from hubline.core.errors import RunError
from hubline.serving.model_card import model_digest
from hubline.serving.versions import number_of

_RUN_AGAIN = "; nothing was pushed. Run again: the model is then compared with what serves"


def refuse_changed(compared: ServedVersion | None, serving: str | None) -> None:
    """Refuses if another version serves than the one that the model was compared with, or its files have changed.

    Args:
        compared: The version that the model was compared with; None if none served.
        serving: Path of the version that serves now, if any.

    Raises:
        RunError: if so.
    """
    refuse_moved(compared, serving)
    if compared and serving and model_digest(serving) != compared.digest:
        raise RunError(f"{serving}: its files have changed since the model was compared with it{_RUN_AGAIN}")


def refuse_moved(compared: ServedVersion | None, serving: str | None) -> None:
    """The same, by number alone."""
    if is_same_version(compared, serving):
        return
    before = f"with {compared.path}" if compared else "when no version served"
    now = f"{serving} serves now" if serving else "no version serves now"
    raise RunError(f"{now}, but the model was compared {before}{_RUN_AGAIN}")


def is_same_version(compared: ServedVersion | None, serving: str | None) -> bool:
    """Whether the version that serves has the number of the one that was compared with, or both are missing."""
    return (compared and number_of(compared.path)) == (serving and number_of(serving))
