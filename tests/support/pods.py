"""Pods on this machine: network namespaces, each with an address of its own and its own localhost. Requires root.

Beam's runners address a worker pool as `localhost`, so two workers on one machine need two localhosts.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import gethostname

_NETWORK = f"10.77.{os.getpid() % 256}"
"""Another one in each process, as two may have pods at the same time."""


@dataclass
class Pod:
    """A namespace and the processes in it."""

    name: str
    address: str
    folder: Path
    """Logs, named after the containers."""

    def start(self, container: str, command: Sequence[str], env: Mapping[str, str] = {}) -> subprocess.Popen:
        with self.log(container).open("wb") as out:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command], env=os.environ | env, stdout=out, stderr=subprocess.STDOUT
            )

    def log(self, container: str) -> Path:
        return self.folder / f"{self.name}-{container}.log"

    def kill(self) -> None:
        """Kills all processes, as the loss of a node does."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        for pid in found.stdout.split():
            os.kill(int(pid), signal.SIGKILL)


@dataclass
class Pods:
    """Pods that reach each other, and that this process reaches."""

    folder: Path
    hosts: dict[str, str] = field(default_factory=dict)
    """Addresses of Services by name."""
    pods: list[Pod] = field(default_factory=list)

    @property
    def bridge(self) -> str:
        return f"hub{os.getpid()}"

    def add(self, service: str | None = None) -> Pod:
        """A new pod, and the name of its Service. Pods that are added later know it."""
        number = len(self.pods) + 2
        pod = Pod(f"{self.bridge}-{number}", f"{_NETWORK}.{number}", self.folder)
        if service is not None:
            self.hosts[service] = pod.address
        hosts = Path("/etc/netns") / pod.name / "hosts"
        hosts.parent.mkdir(parents=True)
        known = {"localhost": "127.0.0.1", gethostname(): pod.address, **self.hosts}
        hosts.write_text("".join(f"{address} {name}\n" for name, address in known.items()))
        outside = f"{self.bridge}v{number}"
        _ip("netns", "add", pod.name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        _ip("link", "set", outside, "master", self.bridge, "up")
        _ip("-n", pod.name, "address", "add", f"{pod.address}/24", "dev", "eth0")
        for device in ("eth0", "lo"):
            _ip("-n", pod.name, "link", "set", device, "up")
        self.pods.append(pod)
        return pod


@contextmanager
def pods(folder: Path) -> Iterator[Pods]:
    """A network of pods, which ends with the block."""
    network = Pods(folder)
    with ExitStack() as stack:
        _ip("link", "add", network.bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", network.bridge)
        _ip("address", "add", f"{_NETWORK}.1/24", "dev", network.bridge)
        _ip("link", "set", network.bridge, "up")
        try:
            yield network
        finally:
            for pod in network.pods:
                pod.kill()
                _ip("netns", "delete", pod.name)
                shutil.rmtree(Path("/etc/netns") / pod.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
