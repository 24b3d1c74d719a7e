"""What the process that makes a module is asked, and what it answers."""

from typing import Literal

from hubline.core.config_base import Section


class ModuleRequest(Section):
    """A module to make."""

    source: str
    """A Keras file, a SavedModel's folder, or the name of an architecture of keras.applications."""
    kind: Literal["keras", "application", "signature"]
    keras: Literal[2, 3] = 2
    output: str
    """Folder to write."""
    layers: tuple[str, ...] = ()
    """Layers whose outputs are the module's; empty for the model's own outputs."""
    weights: str | None = None
    """File with the weights of an architecture; None for random weights."""
    size: tuple[int, int] | None = None
    """Height and width of an architecture's images; None for any."""
    imports: tuple[str, ...] = ()
    """Python modules with classes of the model."""
    allow_lambda: bool = False
    allow_operations: tuple[str, ...] = ()
    """Operations that may reach beyond the model."""
    signature: str | None = None


class ModuleAnswer(Section):
    """A module that was made."""

    error: str | None = None
    """Why it was not; for the user."""
    difference: float = 0.0
    """Largest difference between the answers of the module and the original."""
    tried: int = 0
    """Number of random examples."""
    notes: tuple[str, ...] = ()
