"""Files that the step's pod and the workers' pods exchange.

Workers copy the step's inputs from the artifact store to the same local paths as in the step's pod. Worker 0 of a
training leaves the outputs next to the job's file, in `kubeflow.state`; the step's pod fetches them there, and the
launcher stores them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import PurePosixPath

from hubline.core import storage
from hubline.core.config_base import Section, is_remote
from hubline.core.errors import RunError, UserError
from hubline.pipeline.kubeflow import executor_io
from hubline.pipeline.kubeflow.workers.settings import WorkerPods

_SPLIT = "Split-"
"""Beginning of the names of TFX's folders of splits."""
_COPIES = 8
"""Files copied at once."""


class Files(Section):
    """Artifacts of the step."""

    inputs: dict[str, str]
    """URI of each input artifact, by its local path."""
    outputs: dict[str, str]
    """Local path of each output artifact, by its key."""


class Exchange:
    """The files of one training."""

    def __init__(self, job_path: str) -> None:
        """Names the files.

        Args:
            job_path: The job's file, `CHECKPOINTS/KEY/workers/FILE`.
        """
        self.folder = job_path.rpartition("/")[0]
        self._files = f"{self.folder}/files.json"
        self._outputs = f"{self.folder}/outputs"

    @property
    def training(self) -> str:
        """Key of the checkpoints."""
        return PurePosixPath(self.folder).parent.name

    def write(self, files: Files) -> None:
        """Writes the file that tells workers which artifacts there are."""
        storage.write_text(self._files, files.model_dump_json())

    def read(self) -> Files:
        """Reads that file."""
        with storage.open_binary(self._files) as file:
            return Files.model_validate_json(file.read())

    def store_outputs(self, files: Files) -> None:
        """Copies the outputs to the exchange, in the pod of worker 0."""
        storage.remove_tree(self._outputs)  # of a worker that was killed while it copied
        for key, path in files.outputs.items():
            _copy_folder(path, f"{self._outputs}/{key}")

    def fetch_outputs(self, files: Files) -> None:
        """Copies the outputs to their local paths in the step's pod, and removes them from the exchange.

        Raises:
            RunError: if there is no output.
        """
        for key, path in files.outputs.items():
            if not storage.exists(f"{self._outputs}/{key}"):
                raise RunError(f"{self._outputs}/{key}: worker 0 succeeded, but left no such output")
            _copy_folder(f"{self._outputs}/{key}", path)
        storage.remove_tree(self.folder)


def files_of(inputs: dict[str, list[str]], outputs: dict[str, list[str]], pods: WorkerPods) -> Files:
    """The artifacts of a step by their local paths.

    Args:
        inputs: Local paths of input artifacts, by key.
        outputs: Local paths of output artifacts, by key.
        pods: The workers, for error messages.

    Raises:
        RunError: if an artifact is in no store, or can't be read from the store.
    """
    local = [path for paths in inputs.values() for path in paths if not is_remote(path)]
    uris = {path: executor_io.remote(path) for path in local}
    for path, uri in uris.items():
        if uri == path:
            raise RunError(
                f"{path}: this artifact is in no store ({', '.join(executor_io.MOUNTED)}), so other workers can't read "
                "it; set kubeflow.pipeline_root to a folder in one"
            )
        try:
            is_there = storage.exists(uri)
        except UserError as error:
            raise RunError(f"{_unreadable(uri, pods)}: {error}") from None
        if not is_there:
            raise RunError(f"{_unreadable(uri, pods)}: there is no such folder")
    return Files(inputs=uris, outputs={key: path for key, (path,) in outputs.items()})


def _unreadable(uri: str, pods: WorkerPods) -> str:
    return (
        f"{pods.workers_key}: workers read the artifacts themselves, with the environment and secrets of the step "
        f"(kubeflow.steps.{pods.step} or kubeflow.every_step), which can't read {uri}"
    )


def fetch_inputs(files: Files, with_shards: bool = True) -> None:
    """Copies the inputs to their local paths, in a worker's pod.

    Args:
        files: The artifacts.
        with_shards: Whether to copy the files of splits, too, which are most of the data.
    """
    for path, uri in files.inputs.items():
        _copy_folder(uri, path, with_shards)


@contextmanager
def fetched(files: Files, path: str) -> Iterator[None]:
    """Has a single file of an input at its local path, in a worker's pod."""
    folder = next((each for each in files.inputs if path.startswith(f"{each}/")), None)
    if folder is None:  # workers see the artifacts themselves
        yield
        return
    storage.copy(files.inputs[folder] + path.removeprefix(folder), path)
    yield
    storage.remove(path)


def scratch_folders(files: Files) -> list[str]:
    """The folders in which the artifacts' local paths are: `/gcs`, `/s3` or `/minio`."""
    return sorted(set(_mounts([*files.inputs, *files.outputs.values()])))


def _mounts(paths: list[str]) -> Iterator[str]:
    for path in paths:
        yield next(folder.rstrip("/") for folder in executor_io.MOUNTED.values() if path.startswith(folder))


def _copy_folder(source: str, target: str, with_shards: bool = True) -> None:
    storage.make_folder(target)
    names = [name for name in storage.files_below(source) if with_shards or not name.startswith(_SPLIT)]
    with ThreadPoolExecutor(_COPIES) as pool:
        list(pool.map(lambda name: storage.copy(f"{source}/{name}", f"{target}/{name}"), names))
