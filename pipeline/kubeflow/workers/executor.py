"""Trainer's executor in a step whose workers have pods of their own."""

from tfx.types import Artifact, artifact_utils

from hubline.components.trainer import job_file, worker_errors, worker_log
from hubline.components.trainer.executor import Executor as Trainer
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers import settings
from hubline.pipeline.kubeflow.workers.coordinator import Coordinator
from hubline.pipeline.kubeflow.workers.exchange import Exchange, files_of, scratch_folders
from hubline.pipeline.kubeflow.workers.jobs import connect


class Executor(Trainer):
    """Trains in the pods of a TFJob or of an indexed Job."""

    def _launch(self, job_path: str, workers: int) -> list[str]:
        """Trains.

        Args:
            job_path: The job's file, in the state that all pods can access.
            workers: Number of workers.

        Returns:
            Why the workers were restarted, once for each time.
        """
        pods, exchange = settings.given(), Exchange(job_path)
        given = job_file.read(job_path)
        files = files_of(_paths(given.inputs), _paths(given.outputs), pods)
        exchange.write(files)

        def arguments(hosts: list[str]) -> list[str]:
            return [job_path, ",".join(hosts)]

        try:
            with connect(pods.kind, pods.workers_key) as jobs:
                coordinator = Coordinator(jobs, pods, exchange.training, workers, scratch_folders(files))
                restarts = coordinator.run(arguments, worker_log.pass_on)
        except RunError:
            worker_errors.raise_first(job_path)  # the worker's own error, if it left one
            raise
        exchange.fetch_outputs(files)
        return restarts


def _paths(artifacts: dict[str, list[Artifact]]) -> dict[str, list[str]]:
    return {key: [artifact_utils.get_single_uri(found)] for key, found in artifacts.items()}
