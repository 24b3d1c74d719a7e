"""Fingerprints of hub modules, which change with the module behind a handle, without a download."""

import hashlib

from hubline.components.hub_module import web
from hubline.components.hub_module.handle import WEB, digest, fetch_error, mirrored
from hubline.core.config_base import is_remote


def fingerprint(handle: str, sha256: str | None = None) -> str:
    """Fingerprint of the module behind a handle, without a download.

    A local module's fingerprint is its digest; in an object store, the sizes and modification times of its files. The
    address of a version on a hub never changes, so the address is its own fingerprint, as is any web address with a
    `sha256`. Other web servers are asked.

    Args:
        handle: Where the module is.
        sha256: Digest required by the pipeline file, if any.

    Raises:
        UserError: if there is no such module.
    """
    place = mirrored(handle)
    if place.startswith(WEB):
        return place if sha256 or web.names_a_version(place) else _web_fingerprint(handle, place)
    if not is_remote(place):
        return digest(place)
    # Imported here, for object stores only, because it imports TensorFlow.
    from hubline.components.hub_module.fetch import remote_facts

    return _digest_of(remote_facts(place))


def _web_fingerprint(handle: str, place: str) -> str:
    try:
        return _digest_of(web.facts(place))
    except web.UNREACHABLE as error:
        raise fetch_error(handle, error) from error


def _digest_of(facts: list[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
