"""The Job controller's part for indexed Jobs with `backoffLimitPerIndex` and a pod failure policy.

https://github.com/kubernetes/kubernetes/tree/v1.34.0/pkg/controller/job: a pod that failed stays, and is replaced by
one with the same index unless a rule or the limit of its index ends the Job. Between failures, the real one waits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
"""Annotations and labels of such a Job's pods."""


def attempt_of(pod: Json) -> int:
    """How often a pod with this index has failed before."""
    annotations = pod["metadata"]["annotations"]
    return int(annotations[FAILURES]) + int(annotations.get(IGNORED, 0))


def decided(
    spec: Json, pods: Sequence[Json], deleted: Mapping[int, int]
) -> tuple[str | None, dict[int, dict[str, str]], str]:
    """What the controller does next.

    Args:
        spec: Spec of the Job.
        pods: Its pods, oldest first.
        deleted: Number of pods with each index that were deleted, which counts as a failure.

    Returns:
        Message of the Job's failure, or None; the annotations of each pod to create, by index; and `failedIndexes`.
    """
    create: dict[int, dict[str, str]] = {}
    failed: list[int] = []
    for index in range(spec["completions"]):
        own = [pod for pod in pods if int(pod["metadata"]["labels"][INDEX]) == index]
        phases = [pod["status"]["phase"] for pod in own]
        ended = [pod for pod in own if pod["status"]["phase"] == "Failed"]
        actions = [_action(spec["podFailurePolicy"]["rules"], pod) for pod in ended]
        if "FailJob" in actions:
            name = ended[actions.index("FailJob")]["metadata"]["name"]
            return f"Container tensorflow for pod {name} failed, matching FailJob rule", {}, ""
        counted = sum(action != "Ignore" for action in actions) + deleted.get(index, 0)
        if counted > spec["backoffLimitPerIndex"]:
            failed.append(index)
        elif all(phase == "Failed" for phase in phases):
            ignored = actions.count("Ignore")
            create[index] = {FAILURES: str(counted)} | ({IGNORED: str(ignored)} if ignored else {})
    if len(failed) > spec["maxFailedIndexes"]:
        return "Job has exceeded the specified maximal number of failed indexes", {}, ",".join(map(str, failed))
    return None, create, ""


def _action(rules: Sequence[Mapping[str, Any]], pod: Json) -> str:
    """The action of the first rule that matches a failed pod."""
    conditions = {(each["type"], each["status"]) for each in pod["status"].get("conditions", [])}
    (container,) = pod["status"]["containerStatuses"]
    code = container["state"]["terminated"]["exitCode"]
    for rule in rules:
        if any((each["type"], each["status"]) in conditions for each in rule.get("onPodConditions", [])):
            return rule["action"]
        if (on := rule.get("onExitCodes")) and on["containerName"] == container["name"] and code in on["values"]:
            assert on["operator"] == "In"
            return rule["action"]
    return "Count"
