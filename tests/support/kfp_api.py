"""A fake Kubeflow Pipelines API server: it keeps state and validates each call against the published contract.

The contract is tests/data/kfp_api_v2beta1.swagger.json. Behaviour beyond it follows the backend's sources
(https://github.com/kubeflow/pipelines/tree/master/backend/src): those of the API server for rejections, and
crd/controller/scheduledworkflow for when scheduled runs start, with https://pkg.go.dev/github.com/robfig/cron@v1.2.0.
"""

import itertools
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ruamel.yaml import YAML
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.support.kfp_contract import Contract, Json, Refusal
from tests.support.kfp_cron import Six

WORKFLOW = "taxi-tips-7x2kq"
START = datetime(2026, 7, 1, 12, 0, 0, tzinfo=timezone.utc)
UNDER_WAY = ("PENDING", "RUNNING")


@dataclass
class Fault:
    """A fault in a number of calls whose method and path contain a text."""

    on: str
    """Such as `POST /apis/v2beta1/runs`."""
    status: int
    times: int = 1
    done: bool = False
    """Whether the call is carried out nevertheless, and only its response is lost."""
    body: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class KfpApi:
    """State and responses of an installation."""

    now: datetime = START
    multi_user: bool = False
    token: str | None = None
    """The required token, if any."""
    cookie: str | None = None
    """The required session cookie, if any; without it, calls are redirected to a log-in page."""
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    """Violations of the contract."""
    experiments: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    versions: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    recurring: dict[str, Json] = field(default_factory=dict)
    triggered: dict[str, datetime] = field(default_factory=dict)
    """When the last run of each recurring run was due."""
    most_enabled: int = 0
    """Maximum number of recurring runs of one name ever enabled at the same time."""
    killed: list[str] = field(default_factory=list)
    """Runs that ended because their recurring run was deleted."""
    frames: dict[str, list[Json]] = field(default_factory=dict)
    """What the next polls of a run return, by its ID or `*`: its `state`, `tasks` by name, and `error`."""
    older: bool = False
    """Whether tasks contain the nodes of their pods, as before 2.17, and there is no workflow."""
    logs: dict[str, str] = field(default_factory=dict)
    """By pod, from the API server."""
    dashboard_logs: dict[str, str] = field(default_factory=dict)
    """By pod, from the dashboard."""
    release: threading.Event = field(default_factory=threading.Event)
    """Ends calls that hang, which are those whose fault has status 0."""
    host: str = ""

    def __post_init__(self) -> None:
        self._contract = Contract()

    @contextmanager
    def serving(self) -> Iterator["KfpApi"]:
        """Serves on a local port for the duration of the block."""
        server = make_server("127.0.0.1", 0, self._application, threaded=True)
        self.host = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.release.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def _application(self, environ: Json, start_response: Any) -> Any:
        request = Request(environ)
        request.get_data()  # keeps the connection usable whatever the response
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        call = f"{request.method} {request.path}"
        self.calls.append(call)
        fault = next((each for each in self.faults if each.on in call and each.times > 0), None)
        if fault:
            fault.times -= 1
            if fault.status == 0:
                self.release.wait(30)
            if fault.done:
                self._carried_out(request)
            body = fault.body or json.dumps(
                {"code": 2, "message": f"as the test has it: {fault.status}", "details": []}
            )
            return Response(body, fault.status or 504, headers=dict(fault.headers), mimetype=_kind(body))
        if refused := self._refused(request):
            return refused
        if log := self._log(request):
            return log
        try:
            return Response(json.dumps(self._carried_out(request)), 200, mimetype="application/json")
        except Refusal as refusal:
            # https://github.com/grpc-ecosystem/grpc-gateway: codes as in https://grpc.io/docs/guides/status-codes
            code = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6}.get(refusal.status, 13)
            told = {"code": code, "message": refusal.message, "details": []}
            return Response(json.dumps(told), refusal.status, mimetype="application/json")

    def _refused(self, request: Request) -> Response | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return Response('{"code": 16, "message": "Request header error: there is no token", "details": []}', 401)
        if self.cookie and request.headers.get("Cookie") != self.cookie:
            return Response("<html>log in</html>", 302, headers={"Location": f"{self.host}/dex/auth"})
        if request.path.startswith("/dex/"):
            return Response("<html>log in</html>", 200, mimetype="text/html")
        return None

    def _log(self, request: Request) -> Response | None:
        if match := re.fullmatch(r"/apis/v1beta1/runs/([^/]+)", request.path):
            return self._with_workflow(match[1])
        if request.path.startswith("/apis/v1alpha1/") and not self.older:  # the dashboard doesn't forward such paths
            return Response("Not Found", 404, mimetype="text/plain")
        if match := re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", request.path):
            if match[2] in self.logs:
                return Response(self.logs[match[2]], 200, mimetype="text/plain")
            # apiserver/server/run_log_server.go writes the status before it looks for the log.
            said = {"error_message": f"Failed to read logs for run {match[1]}", "error_details": "pods not found"}
            return Response(json.dumps(said, separators=(",", ":")), 200, mimetype="text/plain")
        if request.path == "/k8s/pod/logs":
            log = self.dashboard_logs.get(request.args["podname"])
            return Response(log or "pod not found", 200 if log else 404, mimetype="text/plain")
        return None

    def _with_workflow(self, run_id: str) -> Response:
        """A run as in v1beta1, which contains its workflow as a JSON string."""
        frame = (self.frames.get(run_id) or self.frames.get("*") or [{}])[0]
        if self.older or run_id not in self.runs:
            return Response('{"code": 5, "message": "not found", "details": []}', 404, mimetype="application/json")
        workflow = {"metadata": {"name": WORKFLOW}, "status": {"nodes": nodes_of(frame.get("tasks", {}))}}
        told = {"run": {"id": run_id}, "pipeline_runtime": {"workflow_manifest": json.dumps(workflow)}}
        return Response(json.dumps(told), 200, mimetype="application/json")

    def _carried_out(self, request: Request) -> Json:
        operation, path = self._contract.find(request.method, request.path)
        body = request.get_json() if request.is_json and request.data else None
        query = request.args.to_dict()
        files = {name: each.read().decode() for name, each in request.files.items()}
        if faults := list(self._contract.faults_of_call(operation, query, body, list(files))):
            self.violations += faults
            raise Refusal(400, "; ".join(faults))
        name = operation["operationId"].rpartition("_")[2]
        answer = getattr(self, re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower())({**query, **path, **files}, body)
        self.violations += self._contract.faults_of_answer(operation, answer)
        return answer

    # Operations, by their names in the contract

    def get_healthz(self, given: Json, _: None) -> Json:
        return {"multi_user": self.multi_user}

    def create_experiment(self, given: Json, body: Json) -> Json:
        self._needs_namespace(body)
        if any(each["display_name"] == body["display_name"] for each in self.experiments.values()):
            raise Refusal(409, f"Already exist error: Failed to create an experiment {body['display_name']}")
        return self._kept(self.experiments, "experiment_id", body)

    def list_experiments(self, given: Json, _: None) -> Json:
        self._needs_namespace(given)
        return self._listed("experiments", self.experiments, given)

    def get_experiment(self, given: Json, _: None) -> Json:
        return self._got(self.experiments, given["experiment_id"], "Experiment")

    def upload_pipeline(self, given: Json, _: None) -> Json:
        if any(each["display_name"] == given["name"] for each in self.pipelines.values()):
            raise Refusal(409, f"Already exist error: the pipeline {given['name']}")
        told = {key: given[key] for key in ("description", "namespace") if key in given}
        pipeline = self._kept(self.pipelines, "pipeline_id", {"display_name": given["name"], **told})
        self.upload_pipeline_version({**given, "pipelineid": pipeline["pipeline_id"]}, None)
        return pipeline

    def upload_pipeline_version(self, given: Json, _: None) -> Json:
        self._got(self.pipelines, given["pipelineid"], "Pipeline")
        mine = [each for each in self.versions.values() if each["pipeline_id"] == given["pipelineid"]]
        if any(each["display_name"] == given["name"] for each in mine):
            raise Refusal(409, f"Already exist error: the pipeline version {given['name']}")
        documents = list(YAML(typ="safe", pure=True).load_all(given["uploadfile"]))
        spec = {"pipeline_spec": documents[0]} | ({"platform_spec": documents[1]} if documents[1:] else {})
        version = {"pipeline_id": given["pipelineid"], "display_name": given["name"], "pipeline_spec": spec}
        return self._kept(self.versions, "pipeline_version_id", version)

    def list_pipelines(self, given: Json, _: None) -> Json:
        return self._listed("pipelines", self.pipelines, given)

    def list_pipeline_versions(self, given: Json, _: None) -> Json:
        return self._listed("pipeline_versions", self.versions, given)

    def get_pipeline_version(self, given: Json, _: None) -> Json:
        return self._got(self.versions, given["pipeline_version_id"], "PipelineVersion")

    def create_run(self, given: Json, body: Json) -> Json:
        self._check_reference(body)
        return self._kept(self.runs, "run_id", {**body, "state": "PENDING"})

    def get_run(self, given: Json, _: None) -> Json:
        run = self._got(self.runs, given["run_id"], "Run")
        frames = self.frames.get(given["run_id"]) or self.frames.get("*") or []
        if frames:
            frame = frames.pop(0) if len(frames) > 1 else frames[0]
            run["state"] = frame["state"]
            tasks = [_tasks(run, *each, self.older) for each in frame.get("tasks", {}).items()]
            run["run_details"] = {"task_details": [task for nested in tasks for task in nested]}
            if "error" in frame:
                run["error"] = {"code": 2, "message": frame["error"], "details": []}
        return run

    def list_runs(self, given: Json, _: None) -> Json:
        return self._listed("runs", self.runs, given)

    def create_recurring_run(self, given: Json, body: Json) -> Json:
        self._check_reference(body)
        self._got(self.experiments, body["experiment_id"], "Experiment")
        if not 1 <= int(body["max_concurrency"]) <= 10:
            raise Refusal(400, "Max concurrency of a recurring run must be at least 1 and at most 10")
        try:
            six = Six.of(body["trigger"]["cron_schedule"]["cron"])
        except ValueError as error:
            raise Refusal(400, f"Schedule cron is not a supported format: {error}") from None
        assert six
        kept = {**body, "max_concurrency": str(body["max_concurrency"])}
        kept["status"] = "ENABLED" if body.get("mode") == "ENABLE" else "DISABLED"
        made = self._kept(self.recurring, "recurring_run_id", kept)
        self._count()
        return made

    def list_recurring_runs(self, given: Json, _: None) -> Json:
        self._needs_namespace(given)
        return self._listed("recurringRuns", self.recurring, given)

    def get_recurring_run(self, given: Json, _: None) -> Json:
        return self._got(self.recurring, given["recurring_run_id"], "RecurringRun")

    def enable_recurring_run(self, given: Json, _: None) -> Json:
        self._got(self.recurring, given["recurring_run_id"], "RecurringRun").update(status="ENABLED", mode="ENABLE")
        self._count()
        return {}

    def disable_recurring_run(self, given: Json, _: None) -> Json:
        self._got(self.recurring, given["recurring_run_id"], "RecurringRun").update(status="DISABLED", mode="DISABLE")
        return {}

    def delete_recurring_run(self, given: Json, _: None) -> Json:
        self._got(self.recurring, given["recurring_run_id"], "RecurringRun")
        del self.recurring[given["recurring_run_id"]]
        # Kubernetes garbage-collects the workflows that it owns.
        self.killed += [each["run_id"] for each in self._runs_of(given["recurring_run_id"], under_way=True)]
        return {}

    def _count(self) -> None:
        on = [each["display_name"] for each in self.recurring.values() if each["status"] == "ENABLED"]
        self.most_enabled = max([self.most_enabled, *(on.count(name) for name in on)])

    def _needs_namespace(self, given: Json) -> None:
        if self.multi_user and not given.get("namespace"):
            raise Refusal(400, "Invalid input error: Namespace cannot be empty in multi-user mode")

    def _check_reference(self, body: Json) -> None:
        reference = body["pipeline_version_reference"]
        version = self._got(self.versions, reference["pipeline_version_id"], "PipelineVersion")
        fields = version["pipeline_spec"]["pipeline_spec"]["root"].get("inputDefinitions", {}).get("parameters", {})
        if unknown := body.get("runtime_config", {}).get("parameters", {}).keys() - fields.keys():
            raise Refusal(400, f"unknown parameters: {sorted(unknown)}")

    def _kept(self, where: dict[str, Json], key: str, value: Json) -> Json:
        id_ = str(uuid.uuid4())
        where[id_] = {**value, key: id_, "created_at": _text(self.now)}
        return where[id_]

    def _got(self, where: dict[str, Json], id_: str, what: str) -> Json:
        if id_ not in where:
            raise Refusal(404, f"ResourceNotFoundError: {what} {id_} not found.")
        return where[id_]

    def _listed(self, name: str, where: dict[str, Json], given: Json) -> Json:
        found = list(where.values())
        for key in ("experiment_id", "pipeline_id"):
            found = [each for each in found if key not in given or each.get(key) == given[key]]
        for predicate in json.loads(given.get("filter") or "{}").get("predicates", ()):
            if predicate["operation"] not in (1, "EQUALS"):
                raise Refusal(400, f"the operation {predicate['operation']} is not of this test")
            found = [each for each in found if each.get(predicate["key"]) == predicate["stringValue"]]
        if given.get("sort_by") == "created_at desc":
            found.reverse()
        first, size = int(given.get("page_token") or 0), int(given.get("page_size") or 10)
        page = {name: found[first : first + size], "total_size": len(found)} if found else {}
        return page | ({"next_page_token": str(first + size)} if first + size < len(found) else {})

    # The scheduled-workflow controller

    def tick(self, now: datetime) -> list[Json]:
        """Starts and returns the runs that are due at a moment."""
        self.now = now
        begun = []
        while due := [pair for each in self.recurring.values() if (pair := self._due(each))]:
            for recurring, moment in due:
                self.triggered[recurring["recurring_run_id"]] = moment
                run = {
                    key: recurring[key] for key in ("experiment_id", "recurring_run_id", "pipeline_version_reference")
                }
                run |= {"display_name": "of a schedule", "state": "RUNNING", "scheduled_at": _text(moment)}
                begun.append(self._kept(self.runs, "run_id", run))
        return begun

    def _due(self, recurring: Json) -> tuple[Json, datetime] | None:
        """`GetNextScheduledEpoch` of util/scheduled_workflow.go."""
        active = list(self._runs_of(recurring["recurring_run_id"], under_way=True))
        moment = self._next(recurring)
        is_off = recurring["status"] != "ENABLED" or len(active) >= int(recurring["max_concurrency"])
        return None if is_off or moment is None or moment > self.now else (recurring, moment)

    def _next(self, recurring: Json) -> datetime | None:
        """`getNextScheduledTimeImp` of util/cron_schedule.go."""
        cron = recurring["trigger"]["cron_schedule"]
        start, end = (_moment(cron[key]) if key in cron else None for key in ("start_time", "end_time"))
        last = self.triggered.get(recurring["recurring_run_id"]) or start or _moment(recurring["created_at"])
        if start and start > last:
            last = start
        six = Six.of(cron["cron"])
        found = six.next(last)
        if end and end < found:
            return None
        if recurring.get("no_catchup"):
            while (later := six.next(found)) <= self.now and not (end and later > end):
                found = later
        return found

    def _runs_of(self, recurring_run_id: str, under_way: bool = False) -> Iterator[Json]:
        for run in self.runs.values():
            if run.get("recurring_run_id") == recurring_run_id and (not under_way or run["state"] in UNDER_WAY):
                yield run

    def end_runs(self) -> None:
        """Ends all runs."""
        for run in self.runs.values():
            run["state"] = "SUCCEEDED"


def _tasks(run: Json, name: str, said: str | Json, older: bool) -> list[Json]:
    """A task as the API returns it: its state, or its state with an error.

    Before 2.17, it contains the Argo nodes of its pods; since then, its tries are separate tasks.
    """
    told = {"state": said} if isinstance(said, str) else said
    shown = [name] if older else [name, f"{name}(0)", "executor", "executor(0)"]
    tasks: list[Json] = [
        {"run_id": run["run_id"], "task_id": str(uuid.uuid4()), "display_name": each, "state": told["state"]}
        for each in shown
    ]
    if "error" in told:
        tasks[0]["error"] = {"code": 2, "message": told["error"], "details": []}
    if older:
        return [tasks[0] | {"child_tasks": [{"pod_name": each} for each in told.get("nodes", ())]}]
    for parent, child in itertools.pairwise(tasks):
        parent["child_tasks"] = [{"task_id": child["task_id"]}]
    return tasks


def nodes_of(tasks: Mapping[str, str | Json]) -> Json:
    """The nodes of a workflow in which every template has retries: https://github.com/argoproj/argo-workflows.

    Each task is Retry > DAG > Retry > Pod, and its successors are nested below it.
    """
    nodes: Json = {}
    for task, said in tasks.items():
        state = said if isinstance(said, str) else said["state"]
        phase = {"FAILED": "Failed", "SUCCEEDED": "Succeeded"}.get(state, "Running")
        tries = 1 if isinstance(said, str) else said.get("tries", 1)
        name = f"{WORKFLOW}.root(0).{task}"
        pod_template = "system-container-driver" if task.endswith("-driver") else "system-container-impl"
        levels = [(name, "Retry", "system-container-executor"), (f"{name}(0)", "DAG", "system-container-executor")]
        levels += [(f"{name}(0).executor", "Retry", pod_template)]
        levels += [(f"{name}(0).executor({each})", "Pod", pod_template) for each in range(tries)]
        for number, (each, kind, template) in enumerate(levels):
            id_ = f"{WORKFLOW}-{fnv32a(each)}"
            shown = task if number == 0 else each.removeprefix(f"{WORKFLOW}.root(0).").rpartition(".")[2]
            nodes[id_] = {"id": id_, "name": each, "displayName": shown, "type": kind, "templateName": template}
            nodes[id_] |= {"phase": phase, "startedAt": f"2026-07-01T12:00:{number:02}Z", "children": list(nodes)[-1:]}
    return nodes


def pod_of(task: str, attempt: int = 0) -> str:
    """Name of a task's pod: `GeneratePodName` of workflow/util/pod_name.go."""
    template = "system-container-driver" if task.endswith("-driver") else "system-container-impl"
    return f"{WORKFLOW}-{template}-{fnv32a(f'{WORKFLOW}.root(0).{task}(0).executor({attempt})')}"


def fnv32a(text: str) -> int:
    """https://datatracker.ietf.org/doc/html/draft-eastlake-fnv"""
    found = 0x811C9DC5
    for byte in text.encode():
        found = (found ^ byte) * 0x01000193 % 2**32
    return found


def _kind(body: str) -> str:
    return "text/html" if body.startswith("<") else "application/json"


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
