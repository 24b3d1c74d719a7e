"""Checks whether the pods of a run can access the paths in a pipeline file."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from hubline.core.config_base import is_remote
from hubline.core.config_errors import Location
from hubline.pipeline.config import AnyFile
from hubline.pipeline.file_paths import paths_of
from hubline.pipeline.kubeflow.config import STEPS


def unreachable(file: AnyFile) -> Iterator[tuple[Location, str]]:
    """Paths that the pods of a run cannot access: the location of each in the file, and a fix."""
    everywhere = mounts(file)
    for location, path in paths_of(file):
        if is_remote(path) or any(PurePosixPath(path).is_relative_to(mount) for mount in everywhere):
            continue
        where = f"the volumes that every step mounts: {', '.join(sorted(everywhere))}" if everywhere else "no volume"
        what = "on this machine, and not on the cluster" if path.startswith("/") else "relative, and not on the cluster"
        yield location, f"{path}: {what}; name a bucket, or mount a volume in kubeflow.every_step (now: {where})"


def mounts(file: AnyFile) -> set[str]:
    """Folders that every step mounts."""
    return set.intersection(*({each.path for each in file.kubeflow.placement(step).volumes} for step in STEPS))
