"""What a run pins, as the properties of its steps carry it."""

from typing import TypeAlias

from hubline.core.config_base import Section


class PinnedFile(Section):
    """A file as it was when the run began."""

    path: str
    size: int
    modified: int
    """When its content changed last, in nanoseconds since 1970."""
    span: int | None = None
    """The number of the span it stands in: of a date, days since 1970-01-01. None where the pattern has no spans."""


class Files(Section):
    """The data files of a run, by split, or all under `ALL`."""

    by_split: dict[str, tuple[PinnedFile, ...]]

    @property
    def spans(self) -> tuple[int, ...] | None:
        """The spans that were taken, in order; None where the patterns have none."""
        return (
            tuple(sorted({file.span for files in self.by_split.values() for file in files if file.span is not None}))
            or None
        )


class ServedVersion(Section):
    """The version that serves when the run begins."""

    path: str
    digest: str


class PinsToInfer(Section):
    """All that a run with `task: infer` pins."""

    files: Files
    modules: dict[str, str]
    """A fingerprint of each hub module, by name."""
    model: ServedVersion | None
    """The version that is asked, where it is no hub module."""
    labels: str | None
    """The SHA-256 of the file of labels, if there is one."""
    pushed: ServedVersion | None
    """The newest version of the predictions, if any."""


class Pins(Section):
    """All that a run pins."""

    files: Files
    data_schema: str | None
    """The SHA-256 of the curated schema, if there is one."""
    baseline: str | None
    """The SHA-256 of the statistics that the data is compared with, if there are any."""
    vocabularies: dict[str, str]
    """The SHA-256 of each vocabulary that is a file, by the feature that has it."""
    modules: dict[str, str]
    """A fingerprint of each hub module, by name."""
    serving: ServedVersion | None
    backbones: dict[str, str] = {}
    """The SHA-256 of what each backbone is made from beside the pipeline file, by name; empty where that is nothing."""


AnyPins: TypeAlias = Pins | PinsToInfer
"""All that a run of any task pins."""
