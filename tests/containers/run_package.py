"""Runs a package with KFP's local runner, each step in a container: python run_package.py PACKAGE FOLDER.

The folder is what every container mounts, in place of the volumes that the runner passes over. The containers have no
network, no capabilities, and the user of the image, or, where this is not root, a user of group 0 that is not known in
it, as OpenShift has them. For the environment of requirements/kfp.txt.
"""

import os
import sys

from docker.types import Mount
from kfp import components, local


def main(package: str, folder: str) -> None:
    """Runs it; raises where a step fails."""
    os.umask(0)  # the runner makes folders for what the containers write
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
