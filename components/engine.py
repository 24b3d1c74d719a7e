"""Where the work of a step is done: on the engine of `beam`, in processes of this machine, or in the step's own."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tfx.dsl.components.base import base_beam_executor

from hubline.components.beam import IN_ONE_PROCESS, MIN_BYTES, PARALLEL
from hubline.components.engine_endpoint import check_endpoint
from hubline.core.progress import note

_WORKERS = re.compile(rf"--({'|'.join(PARALLEL)})=(\d+)")
_MIN_BYTES = re.compile(rf"--{MIN_BYTES}=(\d+)")


@dataclass(frozen=True)
class Work:
    """What there is to do."""

    shards: int
    """Number of parts that workers can take independently."""
    sizes: Iterable[int]
    """Sizes of files in bytes, read only as far as needed."""
    weight: float
    """One of `components.spread.weights`."""

    def bytes_up_to(self, limit: float) -> int:
        """The size in bytes, or a number that is not below `limit`."""
        total = 0
        for size in self.sizes:
            if total >= limit:
                break
            total += size
        return total


class BeamExecutor(base_beam_executor.BaseBeamExecutor):
    """Base of executors whose work may leave their own process."""

    def pipeline_arguments_for(self, work: Work) -> list[str]:
        """Beam arguments for a pipeline of a library. On one machine, it runs in this process.

        Raises:
            RunError: as `arguments_for`.
        """
        is_engine = local_workers(self._beam_pipeline_args or IN_ONE_PROCESS) is None
        return self.arguments_for(work) if is_engine else list(IN_ONE_PROCESS)

    def arguments_for(self, work: Work) -> list[str]:
        """Beam arguments for work.

        Small data stays in this process. Otherwise there are as many workers as there is work for.

        Raises:
            RunError: if the engine's job server doesn't answer.
        """
        arguments, notes = arguments_for(self._beam_pipeline_args or IN_ONE_PROCESS, work)
        for text in notes:
            note(text)
        check_endpoint(arguments)
        return arguments


def arguments_for(given: Sequence[str], work: Work) -> tuple[list[str], list[str]]:
    """Beam arguments for work, and what to tell the user about them.

    Args:
        given: Arguments as `Beam.arguments` returns them.
        work: What there is to do.
    """
    min_bytes = next((int(found[1]) for each in given if (found := _MIN_BYTES.fullmatch(each))), 0)
    arguments = [each for each in given if not _MIN_BYTES.fullmatch(each)]
    if set(IN_ONE_PROCESS) <= set(arguments):
        return arguments, []
    most = next((int(found[2]) for each in arguments if (found := _WORKERS.fullmatch(each))), None)
    limit = min_bytes / work.weight
    share = limit / 4  # a worker with fewer bytes would spend its time on starting
    size = work.bytes_up_to(max(limit, (most or 0) * share))
    if size < limit:
        text = f"no workers are started for {_shown(size)}; they pay off from {_shown(limit)} (beam.min_bytes)"
        return list(IN_ONE_PROCESS), [text]
    if most is None:
        return arguments, []
    worth = max(int(size / share), 1) if min_bytes else most
    workers = min(most, work.shards, worth)
    if workers == most:
        return arguments, []
    why = shards_there(work.shards) if workers == work.shards else f"there are {_shown(size)}"
    notes = [taking_part(workers, most, why)]
    is_direct = any(each.startswith("--direct_num_workers=") for each in arguments)
    if is_direct and workers == 1:
        return list(IN_ONE_PROCESS), notes
    return [_WORKERS.sub(rf"--\1={workers}", each) for each in arguments], notes


def taking_part(workers: int, most: int, why: str) -> str:
    """Says how many of the wanted workers take part."""
    return f"{workers} of {most} workers {'takes' if workers == 1 else 'take'} part: {why}"


def shards_there(count: int) -> str:
    """Says how many shards there are."""
    return "there is 1 shard" if count == 1 else f"there are {count} shards"


def local_workers(arguments: Sequence[str]) -> int | None:
    """Number of processes of this machine for Beam arguments of `arguments_for`; None for an engine."""
    found = [int(each.partition("=")[2]) for each in arguments if each.startswith("--direct_num_workers=")]
    return found[0] if found else None


def _shown(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"
