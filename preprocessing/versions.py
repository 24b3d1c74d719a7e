"""The versions of what is installed."""

import importlib.metadata


def version(distribution: str) -> str:
    """The version of an installed distribution; of `tensorflow` also where it is `tensorflow-cpu`, as in images.

    Raises:
        importlib.metadata.PackageNotFoundError: where it is not installed.
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        if distribution != "tensorflow":
            raise
        return importlib.metadata.version("tensorflow-cpu")
