"""Whole runs whose data, module and serving folder are in an S3 that throttles requests and cuts connections."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hubline.artifacts.examples import Manifest
from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.pipeline.cli import app
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.serving.versions import versions
from tests.support import example_data
from tests.support.faulty_store import Trouble, proxied
from tests.support.project import PIPELINE, make_project

pytestmark = pytest.mark.slow

SPANS = "examples: data/span-{SPAN}/*"


def trained(path: Path) -> Result:
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return result


def curves(result: Result) -> dict[str, list[float]]:
    return json.loads(Path(str(result.artifacts.model_run), "curves.json").read_text())


def predicted(output: Path, model: str, *inputs: str) -> list[dict]:
    """Predictions of a pushed model, without the folders of the files."""
    answer = CliRunner().invoke(app, ["predict", model, *inputs, "--output", str(output)])
    assert answer.exit_code == 0, answer.output
    lines = [json.loads(line) for path in sorted(output.glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [line | {"input": Path(line["input"]).name} for line in lines]


def shards(result: Result, folder: str) -> list[tuple]:
    """What ingestion made of each file: its path below the folder, its records by split, and their digest."""
    found = Manifest.read(str(result.artifacts.examples)).shards
    return [
        (shard.split, shard.digest, [(origin.file.removeprefix(folder), origin.count) for origin in shard.origins])
        for shard in found
    ]


@pytest.fixture
def trouble(s3_address: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """Throttles one in ten requests to the bucket, cuts their answers, or loses them after they were carried out."""
    found = Trouble()
    with proxied(s3_address, found) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        found.begin("slow_down", "cut", "lost", one_in=10)
        yield found
        found.end()


@pytest.mark.both_stacks
def test_a_run_on_an_unsteady_s3_gives_what_a_run_on_a_disk_gives(s3: str, trouble: Trouble, tmp_path: Path) -> None:
    for place in (tmp_path / "disk", tmp_path / "bucket"):
        make_project(place, PIPELINE.replace("examples: data", SPANS))
        for number, name in enumerate(("a.tfrecord", "b.tfrecord.gz")):
            (place / f"data/span-{number}").mkdir()
            (place / "data" / name).rename(place / f"data/span-{number}/{name}")
    on_disk, on_s3 = tmp_path / "disk", tmp_path / "bucket"
    for name in ("data", "module"):
        storage.copy_tree(f"{on_s3}/{name}", f"{s3}/project/{name}")
        storage.remove_tree(f"{on_s3}/{name}")
    text = (on_s3 / "pipeline.yaml").read_text()
    for key, path in (("examples", "data/span-{SPAN}/*"), ("handle", "module"), ("destination", "serving")):
        # Repeated and trailing slashes would be other objects' names.
        text = text.replace(f"{key}: {path}", f"{key}: '{s3}//project/{path}{'/' if key != 'examples' else ''}'")
    (on_s3 / "pipeline.yaml").write_text(text)

    local, remote = trained(on_disk / "pipeline.yaml"), trained(on_s3 / "pipeline.yaml")
    assert remote.pushed_model == f"{s3}/project/serving/1" and remote.newly_pushed
    assert versions(f"{s3}/project/serving") == ["1"]
    assert shards(remote, f"{s3}/project") == shards(local, str(on_disk))
    assert curves(remote) == curves(local)
    assert remote.decision and local.decision
    values = [[check.model_dump(exclude={"reason"}) for check in one.decision.checks] for one in (remote, local)]
    assert values[0] == values[1]
    served = str(local.pushed_model)
    assert len(storage.files_below(remote.pushed_model)) == len(storage.files_below(served))

    records = example_data.labelled(40)[20:]
    example_data.write_tfrecord(tmp_path / "new/a.tfrecord.gz", records, "GZIP")
    (tmp_path / "new/b.png").write_bytes(example_data.random_image(7))
    storage.copy_tree(f"{tmp_path}/new", f"{s3}/new")
    expected = predicted(tmp_path / "1", served, f"{tmp_path}/new")
    assert len(expected) == 21
    assert predicted(tmp_path / "2", f"{s3}/project//serving/", f"{s3}/new/") == expected
    assert predicted(tmp_path / "3", f"{s3}/project/serving/1", f"{s3}/new/*.gz", f"{s3}/new/b.png") == expected

    # The version that serves, in S3, is now what a candidate is compared with; the module and the first spans are kept.
    pushed = tree_digest(f"{s3}/project/serving/1")
    example_data.write_tfrecord(tmp_path / "c.tfrecord", example_data.labelled(300)[200:])
    storage.copy(f"{tmp_path}/c.tfrecord", f"{s3}/project/data/span-2/c.tfrecord")
    again = trained(on_s3 / "pipeline.yaml")
    assert [name for name, _ in shards(again, f"{s3}/project")[0][2]] == ["/data/span-0/a.tfrecord"]
    assert sum(Manifest.read(str(again.artifacts.examples)).counts.values()) == 300
    assert again.decision and any("serving" in check.reason for check in again.decision.checks)
    assert again.pushed_model == f"{s3}/project/serving/2"
    assert tree_digest(f"{s3}/project/serving/1") == pushed
    assert trained(on_s3 / "pipeline.yaml").pushed_model == again.pushed_model
    assert len(trouble.met) >= 10 and {request.partition(" ")[0] for request in trouble.met} >= {"GET", "HEAD", "PUT"}
