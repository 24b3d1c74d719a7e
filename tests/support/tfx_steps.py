"""Two small TFX steps: one writes a text, the other copies it."""

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts


@component
def Write(text: Parameter[str], written: OutputArtifact[standard_artifacts.Model]) -> None:
    Path(written.uri, "text").write_text(text)


@component
def Copy(text: InputArtifact[standard_artifacts.Model], copied: OutputArtifact[standard_artifacts.Model]) -> None:
    Path(copied.uri, "text").write_text(Path(text.uri, "text").read_text())
