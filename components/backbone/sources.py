"""Source of a backbone besides the pipeline file: a weights file, or the code of a user's function."""

from hubline.core import storage
from hubline.core.digest import check_digest, file_digest
from hubline.core.errors import UserError
from hubline.trainer.backbones.config import AnyBackbone, Backbones, Builder, KerasApplication
from hubline.trainer.user_source import source_digest

_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def fingerprint(backbone: AnyBackbone) -> str:
    """SHA-256 of a backbone's source; empty if it has none.

    Raises:
        UserError: if the file or function doesn't exist, or the file has another format or digest than stated.
    """
    if isinstance(backbone, Builder):
        return source_digest(backbone)
    if isinstance(backbone, KerasApplication) and backbone.weights_file:
        return weights_digest(backbone.weights_file, backbone.sha256)
    return ""


def fingerprints(backbones: Backbones) -> dict[str, str]:
    """Fingerprint of each backbone, by name.

    Raises:
        UserError: with every fault found.
    """
    found, faults = {}, []
    for name, backbone in backbones.items():
        try:
            found[name] = fingerprint(backbone)
        except UserError as error:
            faults.append(f"backbones.{name}: {error}")
    if faults:
        raise UserError("\n".join(faults))
    return found


def weights_digest(file: str, sha256: str | None) -> str:
    """SHA-256 of a weights file, after a check of its format.

    Args:
        file: Path of the weights.
        sha256: Expected digest, if any.

    Raises:
        UserError: if there is no such file, or its format or digest is wrong.
    """
    if not storage.exists(file) or storage.is_folder(file):
        raise UserError(f"{file}: there is no such file; set weights to a Keras weights file, or none")
    with storage.open_binary(file) as opened:
        begin = opened.read(len(_HDF5))
    if begin != _HDF5 and not (file.endswith(".keras") and begin.startswith(_ZIP)):
        form = "HDF5 or a Keras archive" if file.endswith(".keras") else "HDF5"
        raise UserError(f"{file}: not a weights file: not {form}")
    digest = file_digest(file)
    check_digest(file, digest, sha256)
    return digest
