"""HDF5 files that have part of their contents elsewhere.

HDF5 follows external links, and reads datasets from external or virtual files, wherever the file says, so the weights
of a model could be the contents of another file of this machine (the kind that
https://nvd.nist.gov/vuln/detail/CVE-2026-1669 describes).
"""

import io
import zipfile
from typing import Any

from hubline.core.errors import UserError


def refuse_links(path: str) -> None:
    """Refuses an HDF5 file, or a .keras file with one, that has contents in other files.

    Args:
        path: The file; files of other formats pass.

    Raises:
        UserError: naming the other file.
    """
    if not zipfile.is_zipfile(path):
        _refuse(path, path)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".h5"):
                _refuse(path, io.BytesIO(archive.read(name)))


def _refuse(path: str, contents: Any) -> None:
    import h5py  # Imported here, because few handles are HDF5 files.

    try:
        with h5py.File(contents, "r") as file:
            others = [*_linked(file), *_sources(file)]
    except OSError:
        return  # not HDF5, or damaged, which Keras says
    if others:
        raise UserError(f"{path}: its weights are in another file, {others[0]}; save the whole model in one file")


def _linked(file: Any) -> list[str]:
    found: list[str] = []
    file.visititems_links(lambda _, link: found.append(link.filename) if hasattr(link, "filename") else None)
    return found


def _sources(file: Any) -> list[str]:
    """Files of external and virtual datasets."""
    found: list[str] = []

    def visit(_: str, item: Any) -> None:
        found.extend(name for name, *_ in getattr(item, "external", None) or ())
        if getattr(item, "is_virtual", False):
            found.extend(each.file_name for each in item.virtual_sources() if each.file_name != ".")

    file.visititems(visit)
    return found
