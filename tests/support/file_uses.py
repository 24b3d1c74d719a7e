"""Finds where Python source uses files by itself rather than through `hubline.core.storage`."""

import ast
from collections.abc import Iterator

MODULES = {"fsspec", "s3fs", "gcsfs", "adlfs", "glob", "shutil"}
CALLS = {
    "open",
    "os.listdir",
    "os.walk",
    "os.scandir",
    "os.open",
    "os.link",
    "os.remove",
    "os.unlink",
    "os.rename",
    "os.replace",
    "os.makedirs",
    "tarfile.open",
    "zipfile.ZipFile",
    "gzip.open",
}
METHODS = {
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "exists",
    "is_dir",
    "is_file",
    "glob",
    "rglob",
    "iterdir",
    "unlink",
    "rmdir",
    "mkdir",
    "touch",
    "rename",
    "hardlink_to",
}
"""Methods of `pathlib.Path` that look at the disk."""


def file_uses(source: str) -> Iterator[str]:
    """The uses in a module, such as `shutil`, `open` and `.read_text`."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name.partition(".")[0] for name in names if name.partition(".")[0] in MODULES)
        yield from (name for name in names if name in {"tfx.dsl.io.fileio", "tfx.utils.io_utils"})
        yield from (name for name in names if name.startswith("apache_beam.io.filesystem"))
        if isinstance(node, ast.Attribute) and node.attr == "gfile":
            yield "tf.io.gfile"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS:
                yield called
            elif isinstance(node.func, ast.Attribute) and called.partition(".")[0] != "storage":
                # A path's own `open` takes at most a mode; `archive.open(...)` and others are found by their module.
                is_method = node.func.attr in METHODS
                is_open = node.func.attr == "open" and called.startswith(("Path(", "path.", "self.path."))
                if is_method or is_open:
                    yield f".{node.func.attr}"
