"""Runs executors of steps on artifacts in a folder."""

from collections.abc import Sequence
from pathlib import Path

from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from hubline.artifacts import file_list
from hubline.artifacts.examples import Manifest
from hubline.components.config.data import Data
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.executor import Executor as ExampleGen
from hubline.components.pin.snapshot import pin_files
from tests.support import example_data

BEAM = ["--direct_running_mode=in_memory", "--direct_num_workers=1", "--sdk_container_image=none"]


CONTRACT = Contract(images=("image",), label="label", classes=("dark", "light"))


def beam_executor(kind, folder: Path):
    return kind(base_beam_executor.BaseBeamExecutor.Context(BEAM, tmp_dir=f"{folder}/tmp/", unique_id="1"))


def artifact(kind, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def ingest(
    folder: Path,
    data: Data,
    beam: Sequence[str] = tuple(BEAM),
    store: Path | None = None,
    contract: Contract = CONTRACT,
):
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    context = base_beam_executor.BaseBeamExecutor.Context(list(beam), tmp_dir=f"{folder}/tmp/", unique_id="1")
    ExampleGen(context).Do(
        {},
        {"examples": [examples]},
        {
            "files": file_list.keep(pin_files(data), f"{folder}/pins"),
            "pins": f"{folder}/pins",
            "split": data.split.to_property() if isinstance(data.split, HashSplit) else "",
            "selection": data.selection.to_property(),
            "contract": contract.to_property(),
            "bad_records": data.bad_records.to_property(),
            "store": str(store or folder / "store"),
            "code": "",
        },
    )
    return examples


def read_split(examples, split: str) -> list[bytes]:
    folder = Path(examples.uri, f"Split-{split}")
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [shard.name for shard in Manifest.read(examples.uri).of(split)]
    return [item for file in files for item in example_data.read_tfrecord(file, "GZIP" if file.suffix == ".gz" else "")]
