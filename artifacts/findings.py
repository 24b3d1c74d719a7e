"""What ExampleValidator finds beside TFDV's anomalies, and keeps in the same artifact."""

from typing import Literal

from hubline.core import storage
from hubline.core.config_base import Section

_FILE = "found.json"

BASELINE = "baseline.pb"
"""A copy of the statistics that the training split was compared with, in the artifact."""


class Finding(Section):
    """Something about a column that is wrong, or worth knowing."""

    column: str
    what: str
    split: str = ""
    """Empty where it is not of one split."""
    stops: bool
    """Whether the run cannot go on with it."""

    def __str__(self) -> str:
        """One line with split and column."""
        return f"{f'{self.split}: ' if self.split else ''}column '{self.column}': {self.what}"


class ColumnDrift(Section):
    """How far a column of the training split is from the baseline."""

    column: str
    measure: Literal["L-infinity distance", "Jensen-Shannon divergence"] | None = None
    """How TFDV measures the distance: the first for text, where it is the greatest change of the share of a value, the
    second for numbers. None where there is nothing to measure."""
    distance: float | None = None
    """From 0 to 1."""
    missing: tuple[float, float] | None = None
    """The share of records without a value, in the baseline and now; None where there is nothing to compare."""
    limit: float
    drifted: bool
    """Whether the distance, or the change of the share of missing values, is above the limit."""
    reason: str
    """The numbers in words."""

    def __str__(self) -> str:
        """One line with the column, where it has drifted."""
        return f"train: column '{self.column}': has drifted from the baseline: {self.reason}"


class Found(Section):
    """All that was found."""

    findings: tuple[Finding, ...] = ()
    drift: tuple[ColumnDrift, ...] | None = None
    """None where there is no baseline."""
    drift_stops: bool = False
    """Whether the run cannot go on where a column has drifted."""

    @property
    def reasons(self) -> list[str]:
        """What the run cannot go on with, a line each."""
        return [str(finding) for finding in self.findings if finding.stops] + (
            self._drifted if self.drift_stops else []
        )

    @property
    def warnings(self) -> list[str]:
        """What is worth knowing and stops nothing, a line each."""
        findings = [str(finding) for finding in self.findings if not finding.stops]
        return findings + ([] if self.drift_stops else self._drifted)

    @property
    def _drifted(self) -> list[str]:
        return [str(drift) for drift in self.drift or () if drift.drifted]

    def write(self, uri: str) -> None:
        """Writes this into an ExampleAnomalies artifact."""
        storage.write_bytes(f"{uri}/{_FILE}", self.to_property().encode())

    @classmethod
    def read(cls, uri: str) -> "Found":
        """What an ExampleAnomalies artifact of ours holds."""
        with storage.open_binary(f"{uri}/{_FILE}") as file:
            return cls.model_validate_json(file.read())
