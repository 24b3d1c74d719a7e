"""Inputs that a run pins, as carried by the properties of its steps."""

from typing import TypeAlias

from hubline.core.config_base import Section


class PinnedFile(Section):
    """A file as it was at the start of the run."""

    path: str
    size: int
    modified: int
    """Time of the last modification, in nanoseconds since 1970."""
    version: str | None = None
    """ETag or generation of an object in a store; None on a disk."""
    span: int | None = None
    """Number of the file's span; for dates, days since 1970-01-01. None if the pattern has no spans."""


class PinnedFiles(Section):
    """The data files of a run by split, or all under `ALL`."""

    by_split: dict[str, tuple[PinnedFile, ...]]

    @property
    def spans(self) -> tuple[int, ...] | None:
        """The spans that are read, in order; None if the patterns have no spans."""
        return (
            tuple(sorted({file.span for files in self.by_split.values() for file in files if file.span is not None}))
            or None
        )


class ServedVersion(Section):
    """The version in serving at the start of the run."""

    path: str
    digest: str


class PinsToInfer(Section):
    """Inputs pinned by a run with `task: infer`."""

    files: PinnedFiles
    modules: dict[str, str]
    """Fingerprint of each hub module, by name."""
    model: ServedVersion | None
    """The pushed model to predict with; None for a hub module."""
    labels: str | None
    """SHA-256 of the labels file, if there is one."""
    pushed: ServedVersion | None
    """The newest version of the predictions, if any."""


class Pins(Section):
    """Inputs pinned by a training run."""

    files: PinnedFiles
    data_schema: str | None
    """SHA-256 of the curated schema, if there is one."""
    baseline: str | None
    """SHA-256 of the baseline statistics, if there are any."""
    vocabularies: dict[str, str]
    """SHA-256 of each vocabulary file, by feature."""
    modules: dict[str, str]
    """Fingerprint of each hub module, by name."""
    serving: ServedVersion | None
    backbones: dict[str, str] = {}
    """SHA-256 of each backbone's files, by name; empty if a backbone has none besides the pipeline file."""
    warm_start: ServedVersion | None = None
    """The checkpoint that training starts from, without `.index`, and its digest."""
    loss: str | None = None
    """SHA-256 of the source of the user's own loss, if there is one."""


AnyPins: TypeAlias = Pins | PinsToInfer
"""Pinned inputs of a run with any task."""
