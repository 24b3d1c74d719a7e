"""Asks an engine whether it is there, before a job is submitted.

Beam waits for a job server as long as for a job, which may take days.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

import grpc
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, PortableOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from hubline.core.errors import RunError

SECONDS = 10.0
"""Time in which a job server must answer."""


def check_endpoint(arguments: Sequence[str]) -> None:
    """Asks the job server, or Flink's REST API, that Beam arguments name.

    Raises:
        RunError: if it doesn't answer, or is something else; names the key and the address.
    """
    options = PipelineOptions(list(arguments))
    address = options.view_as(PortableOptions).job_endpoint
    if address:
        _ask_job_server(address)
    elif options.get_all_options()["runner"] == "FlinkRunner":
        flink = options.view_as(FlinkRunnerOptions)
        if not flink.flink_master.startswith("["):
            _ask_flink(flink.flink_master, flink.flink_version)


def _ask_job_server(address: str) -> None:
    """Calls the method with which Beam itself begins."""
    with grpc.insecure_channel(address) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            service.DescribePipelineOptions(
                beam_job_api_pb2.DescribePipelineOptionsRequest(), timeout=SECONDS, wait_for_ready=True
            )
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                raise RunError(f"beam.job_endpoint: {address}: a service answers that is no Beam job server") from None
            raise RunError(
                f"beam.job_endpoint: {address}: no Beam job server answered within {SECONDS:.0f} s; start one, or "
                "correct the address"
            ) from None


def _ask_flink(master: str, version: str) -> None:
    import httpx  # Imported here, because few runs have an engine, and its command line loads much.

    url = master if "://" in master else f"http://{master}"
    key = f"beam.options.flink_master: {master}"
    try:
        found = httpx.get(f"{url.rstrip('/')}/config", timeout=SECONDS, follow_redirects=True).json()
        running = str(found["flink-version"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        host = urlsplit(url).netloc
        raise RunError(f"{key}: no REST API of Flink answered at {host} within {SECONDS:.0f} s") from None
    if not running.startswith(f"{version}."):
        raise RunError(f"{key}: Flink {running} runs there, and Beam would send a job for {version}; set flink_version")
