"""The lines of a pipeline file for a hub module."""

import re
from pathlib import PurePath

import yaml

from hubline.trainer.module import Module


def hub_entry(handle: str, sha256: str, module: Module) -> str:
    """An entry of `hubs`, with names of features to replace.

    Args:
        handle: The module's folder.
        sha256: Its digest.
        module: Its interface.
    """
    function = module.calls[0]
    name = re.sub(r"\W+", "_", PurePath(handle).name) or "module"
    features = {key: _feature(key, tensor.dtype, len(tensor.shape or ())) for key, tensor in function.inputs.items()}
    entry: dict[str, object] = {"handle": handle, "inputs": features}
    if len(function.outputs) > 1:
        entry["output"] = next(iter(function.outputs))
    return yaml.safe_dump({"hubs": {name: entry | {"sha256": sha256}}}, sort_keys=False, allow_unicode=True)


def _feature(name: str, dtype: str, rank: int) -> str:
    kind = "text" if dtype == "string" else {2: "numbers", 4: "photo", 5: "clip"}.get(rank, name)
    return f"my_{kind}"
