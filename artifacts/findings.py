"""Findings of ExampleValidator beyond TFDV's anomalies, stored in the same artifact."""

from typing import Literal

from hubline.core import storage
from hubline.core.config_base import Section

_FILE = "found.json"

BASELINE = "baseline.pb"
"""File in the artifact with a copy of the baseline statistics."""


class Finding(Section):
    """A problem with a column, or a fact worth knowing."""

    column: str
    what: str
    split: str = ""
    """Empty if the finding isn't about one split."""
    stops: bool
    """Whether the run cannot continue."""

    def __str__(self) -> str:
        """One line with split and column."""
        return f"{f'{self.split}: ' if self.split else ''}column '{self.column}': {self.what}"


class ColumnDrift(Section):
    """Drift of one column of the training split from the baseline."""

    column: str
    measure: Literal["L-infinity distance", "Jensen-Shannon divergence"] | None = None
    """TFDV's distance measure: L-infinity for strings, which is the largest change in the frequency of any value, and
    Jensen-Shannon for numbers. None if there is nothing to measure."""
    distance: float | None = None
    """From 0 to 1."""
    missing: tuple[float, float] | None = None
    """Fraction of records without a value, in the baseline and now. None if there is nothing to compare."""
    limit: float
    drifted: bool
    """Whether the distance, or the change in the fraction of missing values, exceeds the limit."""
    reason: str
    """The numbers in words."""

    def __str__(self) -> str:
        """One line with the column, if it has drifted."""
        return f"train: column '{self.column}': has drifted from the baseline: {self.reason}"


class DataFindings(Section):
    """All findings of the step."""

    findings: tuple[Finding, ...] = ()
    drift: tuple[ColumnDrift, ...] | None = None
    """None without a baseline."""
    drift_stops: bool = False
    """Whether drift stops the run."""

    @property
    def reasons(self) -> list[str]:
        """Reasons why the run cannot continue, one line each."""
        return [str(finding) for finding in self.findings if finding.stops] + (
            self._drifted if self.drift_stops else []
        )

    @property
    def warnings(self) -> list[str]:
        """Findings that don't stop the run, one line each."""
        findings = [str(finding) for finding in self.findings if not finding.stops]
        return findings + ([] if self.drift_stops else self._drifted)

    @property
    def _drifted(self) -> list[str]:
        return [str(drift) for drift in self.drift or () if drift.drifted]

    def write(self, uri: str) -> None:
        storage.write_bytes(f"{uri}/{_FILE}", self.to_property().encode())

    @classmethod
    def read(cls, uri: str) -> "DataFindings":
        with storage.open_binary(f"{uri}/{_FILE}") as file:
            return cls.model_validate_json(file.read())
