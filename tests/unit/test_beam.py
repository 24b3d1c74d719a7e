"""The section `beam`, and the resulting options as Beam parses them."""

from typing import Any

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions, WorkerOptions

from hubline.components.beam import IN_ONE_PROCESS, Beam


def options(**section: Any) -> PipelineOptions:
    return PipelineOptions(Beam(**section).arguments())


def test_without_a_word_everything_runs_in_the_step_itself() -> None:
    assert tuple(Beam().arguments()) == IN_ONE_PROCESS and Beam().in_step


def test_workers_of_the_direct_runner_are_processes() -> None:
    direct = options(workers=3).view_as(DirectOptions)
    assert (direct.direct_running_mode, direct.direct_num_workers) == ("multi_processing", 3)


def test_an_engine_is_told_all_that_is_said() -> None:
    said = options(
        runner="FlinkRunner",
        job_endpoint="flink:8099",
        environment="EXTERNAL",
        environment_config="localhost:50000",
        workers=4,
        options={"flink_version": "1.19", "experiments": "beam_fn_api", "no_thing": False},
    )
    portable = said.view_as(PortableOptions)
    assert (portable.job_endpoint, portable.environment_type) == ("flink:8099", "EXTERNAL")
    assert portable.environment_config == "localhost:50000"
    everything = said.get_all_options()
    assert (everything["runner"], everything["parallelism"]) == ("FlinkRunner", 4)
    assert everything["flink_version"] == "1.19" and everything["experiments"] == ["beam_fn_api"]
    assert "--no_thing" not in Beam(options={"no_thing": False}).arguments()


def test_workers_in_an_image_have_that_image() -> None:
    section: dict[str, Any] = {"runner": "PortableRunner", "job_endpoint": "a:1", "environment": "DOCKER"}
    assert options(**section).view_as(WorkerOptions).sdk_container_image is None
    assert not Beam(**section).in_step and Beam(**(section | {"environment": "LOOPBACK"})).in_step


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"runner": "PortableRunner"}, "PortableRunner requires job_endpoint"),
        ({"job_endpoint": "a:1"}, "DirectRunner runs in the step's process and takes no job_endpoint"),
        ({"runner": "FlinkRunner", "environment": "PROCESS"}, "environment PROCESS requires environment_config"),
        ({"runner": "FlinkRunner", "job_endpoint": "flink"}, "job_endpoint"),
        ({"options": {"runner": "FlinkRunner"}}, "options.runner: set it as runner"),
        ({"options": {"environment_type": "LOOPBACK"}}, "options.environment_type: set it as environment"),
        ({"workers": 0}, "workers"),
    ],
)
def test_what_does_not_go_together_is_said(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Beam(**section)
