"""A part of a pipeline to run: `--from` and `--until`."""

from collections.abc import Sequence
from dataclasses import dataclass

from hubline.components.node import Node, downstream, upstream
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest


@dataclass(frozen=True)
class Part:
    """Where a run begins anew and ends."""

    start: str | None = None
    """Id of a step that runs, with all that depend on its outputs, even if they are cached; None for no such step."""
    end: str | None = None
    """Id of the last step; steps that this one doesn't need are left out. None for all steps."""

    def check(self, nodes: Sequence[Node]) -> None:
        """Checks that the steps are in the graph.

        Raises:
            UserError: if one isn't, or if the part ends before it begins.
        """
        names = [each.id for each in nodes]
        for option, name in (("--from", self.start), ("--until", self.end)):
            if name is not None and name not in names:
                raise UserError(f"{option} {name}: the pipeline has no such step; {nearest(name, names)}")
        if self.start and self.end and self.start not in upstream(nodes, self.end):
            raise UserError(f"--from {self.start} --until {self.end}: {self.end} doesn't need {self.start}")

    def nodes(self, nodes: Sequence[Node]) -> list[Node]:
        """The steps of the part."""
        needed = upstream(nodes, self.end) if self.end else {each.id for each in nodes}
        return [each for each in nodes if each.id in needed]

    def forced(self, nodes: Sequence[Node]) -> set[str]:
        """Ids of the steps that run even if they are cached."""
        return downstream(nodes, [self.start]) if self.start else set()


WHOLE = Part()
"""The whole pipeline; steps that are cached don't run."""
