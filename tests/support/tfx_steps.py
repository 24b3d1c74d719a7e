"""Small TFX steps: one writes a text, another copies it, and one writes the name of its Beam job."""

from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions
from tfx.dsl.component.experimental.annotations import (
    BeamComponentParameter,
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts


@component
def Write(text: Parameter[str], written: OutputArtifact[standard_artifacts.Model]) -> None:
    Path(written.uri, "text").write_text(text)


@component
def Copy(text: InputArtifact[standard_artifacts.Model], copied: OutputArtifact[standard_artifacts.Model]) -> None:
    Path(copied.uri, "text").write_text(Path(text.uri, "text").read_text())


@component(use_beam=True)
def NameJob(
    named: OutputArtifact[standard_artifacts.Model], pipeline: BeamComponentParameter[beam.Pipeline] = None
) -> None:
    Path(named.uri, "text").write_text(pipeline.options.view_as(GoogleCloudOptions).job_name)
