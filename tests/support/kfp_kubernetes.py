"""Writes tests/data/kfp_kubernetes.json: what kfp and kfp-kubernetes generate for one step with every placement.

ENVIRONMENT_OF_requirements/kfp.txt/bin/python tests/support/kfp_kubernetes.py
"""

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

import yaml
from kfp import compiler, dsl, kubernetes

GPU = "nvidia.com/gpu"


@dsl.container_component
def step() -> dsl.ContainerSpec:
    return dsl.ContainerSpec(image="image", command=["true"])


@dsl.pipeline(name="placed")
def placed() -> None:
    task = step()
    task.set_cpu_limit("4").set_memory_limit("32Gi").set_cpu_request("500m").set_memory_request("512Mi")
    task.set_accelerator_type(GPU).set_accelerator_limit(2)
    task.set_env_variable("TF_GPU_ALLOCATOR", "cuda_malloc_async")
    task.set_retry(3, backoff_duration="90s", backoff_factor=1.5, backoff_max_duration="1800s")
    kubernetes.mount_pvc(task, pvc_name="work", mount_path="/mnt/work")
    kubernetes.mount_pvc(task, pvc_name="data", mount_path="/mnt/data", sub_path="taxi")
    kubernetes.use_secret_as_env(task, secret_name="s3", secret_key_to_env={"key": "AWS_ACCESS_KEY_ID"})
    kubernetes.use_secret_as_volume(task, secret_name="keys", mount_path="/etc/keys", optional=True)
    kubernetes.use_config_map_as_env(task, config_map_name="zone", config_map_key_to_env={"zone": "TZ"}, optional=False)
    kubernetes.use_config_map_as_volume(task, config_map_name="files", mount_path="/etc/files")
    kubernetes.add_node_selector(task, "cloud.google.com/gke-accelerator", "nvidia-l4")
    kubernetes.add_toleration(task, key=GPU, operator="Exists", effect="NoSchedule")
    kubernetes.add_toleration(
        task, key="spot", operator="Equal", value="true", effect="NoExecute", toleration_seconds=60
    )
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "zone", "operator": "In", "values": ["a", "b"]}])
    kubernetes.add_node_affinity(task, match_expressions=[{"key": "spot", "operator": "Exists"}], weight=20)
    kubernetes.empty_dir_mount(task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit="8Gi")
    kubernetes.add_ephemeral_volume(
        task, volume_name="scratch", mount_path="/tmp", access_modes=["ReadWriteOnce"], size="100Gi"
    )
    kubernetes.set_timeout(task, seconds=7200)
    kubernetes.set_image_pull_policy(task, "IfNotPresent")
    kubernetes.set_image_pull_secrets(task, ["registry"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "package.yaml")
        compiler.Compiler().compile(placed, str(package))
        spec, platform = yaml.safe_load_all(package.read_text())
    container = spec["deploymentSpec"]["executors"]["exec-step"]["container"]
    written = {
        "by": {name: version(name) for name in ("kfp", "kfp-kubernetes")},
        "container": {name: container[name] for name in ("resources", "env")},
        "task": {"retryPolicy": spec["root"]["dag"]["tasks"]["step"]["retryPolicy"]},
        "kubernetes": platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-step"],
    }
    written_file = Path(__file__).parents[1] / "data" / "kfp_kubernetes.json"
    written_file.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
