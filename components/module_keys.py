"""Keys of the inputs that carry hub modules and backbones."""

PREFIX = "hub_"


def input_key(module: str) -> str:
    """Key of a module's input."""
    return f"{PREFIX}{module}"
