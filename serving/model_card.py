"""The model card of a pushed version: what it was made from, how good it is, and what it is for."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hubline.artifacts.decision import Decision
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.digest import tree_digest
from hubline.core.errors import UserError
from hubline.core.nested import flat
from hubline.core.spans import SpanPattern, to_date

JSON, HTML = "model_card.json", "model_card.html"
"""Names in the folder of a version, for programs and for people."""


class ModuleOrigin(Section):
    """A hub module or backbone that a model was made with."""

    handle: str
    sha256: str


class CardOfFile(Section):
    """What the pipeline file and its pinned inputs say about a model."""

    pipeline: str
    """Name of the pipeline."""
    intended_use: str = ""
    owner: str = ""
    data: dict[str, str]
    """File pattern of the training data by split; `all` if the pipeline splits them."""
    spans: tuple[int, ...] = ()
    """Spans of the data; for dates, days since 1970-01-01."""
    file: dict[str, Any]
    """The pipeline file without defaults, and without keys that change no model."""
    code: str
    """Digest of the code that trained the model."""


class Approval(Section):
    """Who had a model pushed that waited for it, and why."""

    by: str
    """A claim: nothing proves who it is."""
    at: str
    """Time in UTC, ISO 8601."""
    reason: str
    override: bool
    """Whether the verdict had refused the model."""


class ModelCard(CardOfFile):
    """The card of a version."""

    examples: dict[str, int]
    """Examples by split."""
    modules: dict[str, ModuleOrigin] = {}
    decision: Decision
    """Metrics by slice with confidence intervals, thresholds, and the verdict."""
    serving_check: ServingCheckResult | None = None
    """What a server answered before the push; None if the file left the check out."""
    versions: dict[str, str]
    """Versions of the packages that made the model."""
    digest: str
    """SHA-256 of the version's files without the card."""
    approval: Approval | None = None
    """None if the model was pushed without asking anybody."""

    @property
    def blessed(self) -> bool:
        """Whether the verdict lets the model pass: the decision, and the serving check if there was one."""
        return self.decision.blessed and (self.serving_check is None or self.serving_check.passed)

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the verdict doesn't let the model pass."""
        return (*self.decision.failures, *(self.serving_check.faults if self.serving_check else ()))

    @classmethod
    def read(cls, version: str) -> "ModelCard | None":
        """The card in a version's folder; None if there is none.

        Raises:
            UserError: if it can't be read.
        """
        path = f"{version}/{JSON}"
        if not storage.exists(path):
            return None
        try:
            return cls.model_validate_json(storage.read_bytes(path))
        except ValidationError as error:
            raise UserError(f"{path}: no model card that this Hubline knows: {error}") from error

    @property
    def _shown_spans(self) -> list[date] | list[int]:
        patterns = filter(None, map(SpanPattern.parse, self.data.values()))
        return [to_date(span) for span in self.spans] if any(each.dated for each in patterns) else list(self.spans)

    @property
    def files(self) -> dict[str, bytes]:
        """Contents of the card's files by name."""
        text = _template().render(card=self, facts=list(flat(self.file)), spans=self._shown_spans)
        return {JSON: (self.model_dump_json(indent=2) + "\n").encode(), HTML: text.encode()}


def model_digest(version: str) -> str:
    """SHA-256 of a model's files without its card, which doesn't make it another model."""
    return tree_digest(version, without=(JSON, HTML))


@cache
def _template() -> Any:
    import jinja2  # here, because most uses of this module render no card

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("model_card.html.j2")
