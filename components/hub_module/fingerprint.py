"""Fingerprints of hub modules: they tell whether the module behind a handle has changed, without fetching it."""

import hashlib

from hubline.components.hub_module import web
from hubline.components.hub_module.handle import WEB, cannot_be_had, digest, mirrored
from hubline.core.config_base import is_remote


def fingerprint(handle: str, sha256: str | None = None) -> str:
    """What tells whether the module behind a handle has changed, without fetching it.

    For a local module its digest; for object stores the sizes and times of the files. The address of a version on a hub
    never changes, so the address itself will do, and so will any web address with a digest; of others the server is
    asked.

    Args:
        handle: Where the module is.
        sha256: The digest that the pipeline file holds it to, if any.

    Raises:
        UserError: where there is no such module.
    """
    place = mirrored(handle)
    if place.startswith(WEB):
        return place if sha256 or web.names_a_version(place) else _web_fingerprint(handle, place)
    if not is_remote(place):
        return digest(place)
    # Imported here, for object stores only: it brings TensorFlow.
    from hubline.components.hub_module.fetch import remote_facts

    return _digest_of(remote_facts(place))


def _web_fingerprint(handle: str, place: str) -> str:
    try:
        return _digest_of(web.facts(place))
    except web.UNREACHABLE as error:
        raise cannot_be_had(handle, error) from error


def _digest_of(facts: list[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
