"""Runs a package with KFP's local runner, each step in a container: python run_package.py PACKAGE FOLDER.

Every container mounts the folder, in place of the volumes, which the runner ignores. The containers have no network and
no capabilities. They run as the image's user or, if that is not root, as a user of group 0 that the image doesn't know,
as on OpenShift. Needs the environment of requirements/kfp.txt.
"""

import os
import sys

from docker.types import Mount
from kfp import components, local


def main(package: str, folder: str) -> None:
    """Runs the package; raises if a step fails."""
    os.umask(0)  # the runner creates folders that the containers write to
    runner = local.DockerRunner(
        mounts=[Mount(folder, folder, type="bind")],
        user=f"{os.getuid() or 1000}:0",
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    local.init(runner, pipeline_root=f"{folder}/artifacts")
    components.load_component_from_file(package)()


if __name__ == "__main__":
    main(*sys.argv[1:])
