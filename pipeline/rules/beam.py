"""What each Beam runner needs, and where its workers can reach files."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import PurePath
from urllib.parse import urlsplit

from hubline.components.beam import MIN_BYTES, PARALLEL, Beam
from hubline.components.config.data import Data, DataToInfer
from hubline.components.config.predictions import PushedModel
from hubline.core.config_base import is_remote
from hubline.core.config_errors import Location, PlacedError
from hubline.pipeline.rules.rule import holds_for_parts
from hubline.preprocessing.config import Features, vocabulary_files

_OF_ENGINES = ("job_endpoint", "environment", "environment_config", "volumes")

_OWN = {
    "runner": "runner",
    "job_endpoint": "job_endpoint",
    "environment_type": "environment",
    "environment_config": "environment_config",
    **dict.fromkeys(PARALLEL, "workers"),
}
"""Beam options that have a key of their own."""

_PACKAGES = ("extra_package", "extra_packages", "requirements_file", "setup_file", "save_main_session")
"""Beam options that send code to workers, of which only some kinds of workers take any."""

_OF_DATAFLOW = {
    "project": "the Google Cloud project",
    "region": "the region, such as europe-west4",
    "temp_location": "a folder in a bucket, such as gs://bucket/tmp",
    "sdk_container_image": "an image with Hubline and Beam's entry point (docs/beam.md)",
}

_IN_CONFIG = {"DOCKER": "the image", "PROCESS": "the command", "EXTERNAL": "the address of the worker service"}

_HERE = ("localhost", "127.0.0.1", "::1")


def the_runner_has_what_it_needs(beam: Beam) -> Iterator[PlacedError]:
    for number, folder in enumerate(beam.volumes):
        if not folder.startswith("/"):
            yield ("beam", "volumes", number), f"{folder}: must be an absolute path, as workers mount the folder there"
    if beam.runner == "DirectRunner":
        for key in _OF_ENGINES:
            if getattr(beam, key):
                yield _at(key), f"DirectRunner runs in the step's process and takes no {key}; set another runner"
    elif beam.runner == "DataflowRunner":
        yield from _dataflow(beam)
    else:
        yield from _portable(beam)


def options_are_those_of_the_runner(beam: Beam) -> Iterator[PlacedError]:
    found = list(_options(beam))
    yield from found
    if not found and beam.runner != "DirectRunner" and beam.options and (fault := _parser_fault(beam)):
        yield _at("options"), fault


def _options(beam: Beam) -> Iterator[PlacedError]:
    for name, value in beam.options.items():
        location = ("beam", "options", name)
        if name in _OWN:
            yield location, f"set it as beam.{_OWN[name]}"
        elif name in _PACKAGES:
            yield location, "not every worker installs what Beam sends; install packages in the workers' image instead"
        elif name == "flink_version" and (fault := _flink_fault(str(value))):
            yield location, fault


def _flink_fault(version: str) -> str | None:
    # Imported here, as below, because Beam takes a second, and few files name a version.
    from apache_beam.options.pipeline_options import FlinkRunnerOptions
    from apache_beam.version import __version__

    known = FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    if version in known:
        return None
    unquoted = f"; YAML reads a number without quotes, so write '{version}0'" if f"{version}0" in known else ""
    return f"Beam {__version__} has a job server for Flink {', '.join(known)}, and not for {version}{unquoted}"


def _parser_fault(beam: Beam) -> str | None:
    """What Beam's own parser says of the options."""
    from apache_beam.options.pipeline_options import PipelineOptions

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            PipelineOptions([each for each in beam.arguments() if MIN_BYTES not in each]).get_all_options()
    except SystemExit:
        return said.getvalue().strip().rpartition("error: ")[2]
    return None


def _dataflow(beam: Beam) -> Iterator[PlacedError]:
    for key in _OF_ENGINES:
        if getattr(beam, key):
            yield _at(key), f"DataflowRunner takes no {key}; set its options, and keep files in buckets"
    for name, what in _OF_DATAFLOW.items():
        if not beam.options.get(name):
            yield _at("options"), f"DataflowRunner requires {name}: {what}"
    folder = str(beam.options.get("temp_location", "gs://"))
    if not folder.startswith("gs://"):
        yield ("beam", "options", "temp_location"), f"{folder}: Dataflow's workers see buckets only: gs://bucket/tmp"


def _portable(beam: Beam) -> Iterator[PlacedError]:
    if beam.runner == "SparkRunner" and beam.workers is not None:
        yield (
            _at("workers"),
            "on Spark, the cluster decides how many executors take part, and Beam would start so many Python processes "
            "beside each of them; remove workers",
        )
    if beam.job_endpoint is None and not (beam.runner == "FlinkRunner" and beam.options.get("flink_master")):
        or_master = ", or options.flink_master, the address of Flink's REST API" if beam.runner == "FlinkRunner" else ""
        yield _at("runner"), f"{beam.runner} requires job_endpoint, the host and port of a job server{or_master}"
    if beam.environment is None:
        yield (
            _at("runner"),
            f"{beam.runner} requires environment, because Beam's own image of workers has no Hubline: EXTERNAL with a "
            "worker service, or DOCKER with an image",
        )
    elif beam.environment in _IN_CONFIG and beam.environment_config is None:
        what = _IN_CONFIG[beam.environment]
        yield _at("environment"), f"environment {beam.environment} requires environment_config: {what}"
    elif beam.environment == "LOOPBACK" and (address := remote_address(beam)):
        yield (
            _at("environment"),
            f"LOOPBACK has workers in the step's own process, which {address} doesn't reach; use EXTERNAL or DOCKER",
        )


def a_run_that_ends_cancels_its_job(beam: Beam) -> Iterator[PlacedError]:
    """A doubt: a job server's own cancelling forgets the job, and Flink goes on with it."""
    if beam.runner == "FlinkRunner" and beam.job_endpoint and not beam.options.get("flink_master"):
        yield (
            _at("job_endpoint"),
            "a run that is stopped can't cancel its job through Beam's job server, and Flink goes on with the job; set "
            "beam.options.flink_master to the address of Flink's REST API, such as flink-rest:8081",
        )


@holds_for_parts
def workers_reach_data(beam: Beam, data: Data | DataToInfer, features: Features) -> Iterator[PlacedError]:
    for split, pattern in data.patterns.items():
        key = ("data", "examples") if len(data.patterns) == 1 else ("data", "split", split)
        yield from _unreachable(beam, key, pattern)
    for name, vocabulary in vocabulary_files(features).items():
        yield from _unreachable(beam, ("features", name, "vocabulary", "file"), vocabulary.file)


def workers_reach_the_model(beam: Beam, model: PushedModel | None) -> Iterator[PlacedError]:
    if model is not None:
        yield from _unreachable(beam, ("model", "from"), model.folder)


def unreachable_by_workers(beam: Beam, path: str) -> str | None:
    """Why the workers of an engine cannot reach a path, or None."""
    engine = "Dataflow" if beam.runner == "DataflowRunner" else remote_address(beam)
    if engine is None or is_remote(path) or any(PurePath(path).is_relative_to(each) for each in beam.volumes):
        return None
    or_volumes = "" if beam.runner == "DataflowRunner" else ", or a folder of beam.volumes"
    return f"{path}: workers of {engine} don't see this machine's files; use a bucket{or_volumes}"


def root_fault(beam: Beam, root: str) -> str | None:
    """Why workers cannot reach the artifacts of a run on this machine, or None."""
    if unreachable_by_workers(beam, root) is None:
        return None
    if beam.runner == "DataflowRunner":
        return f"{root}: Dataflow's workers don't see this machine's files; run on Kubeflow (hubline compile)"
    engine = remote_address(beam)
    return f"{root}: workers of {engine} don't see this machine's files; pass a --root in a folder of beam.volumes"


def remote_address(beam: Beam) -> str | None:
    """Address of an engine that is not on this machine; None for one that is, and for Dataflow."""
    if beam.address is None:
        return None
    url = beam.address if "://" in beam.address else f"//{beam.address}"
    return None if urlsplit(url).hostname in _HERE else beam.address


def _unreachable(beam: Beam, location: Location, path: str) -> Iterator[PlacedError]:
    if fault := unreachable_by_workers(beam, path):
        yield location, fault


def _at(key: str) -> Location:
    return "beam", key


RULES = (the_runner_has_what_it_needs, options_are_those_of_the_runner, workers_reach_data)
RULES_TO_INFER = (*RULES, workers_reach_the_model)
DOUBTS = (a_run_that_ends_cancels_its_job,)
