"""Files are listed, read, written and removed through `hubline.core.storage`; each exception has a reason."""

from pathlib import Path

import pytest

from tests.support.file_uses import file_uses
from tests.support.rooms import ROOMS

ROOT = Path(__file__).parents[2]

SOURCE = "source code of Python modules, which is on this machine"
TEMPORARY = "a temporary folder on this machine"
FILE = "the pipeline file, or a file that a command writes next to it"
CONVERTED = "`hubline convert` reads a user's files on this machine and writes TFRecords there"
RUN = "the folder of a local run, which is on this machine: a lock, TFX's artifacts and ML Metadata need a disk"

REASONS = {
    "trainer/keras_files": "a model on this machine, read before TensorFlow is",
    "components/engine_jobs/on_worker.py": SOURCE,
    "components/example_gen/first_record.py": "`hubline check` looks at local data only",
    "components/example_gen/small_files.py": TEMPORARY,
    "components/hub_module/archive.py": "an archive on this machine, downloaded if necessary",
    "components/hub_module/handle.py": "a module on this machine, downloaded if necessary",
    "components/hub_module/recognise.py": "a module on this machine, downloaded if necessary",
    "components/hub_module/web.py": "downloads from web servers into a temporary folder",
    "components/pin/find.py": "tells a broken link from a missing file",
    "components/predictor/batch_predict.py": "a file written line by line into a new entry of the cache",
    "components/predictor/inputs.py": "maps a local file into memory, and copies standard input to a temporary file",
    "serving/retention.py": "takes a version away on a disk by a rename",
    "serving/push.py": "publishes a version on a disk by a rename",
    "serving/unfinished.py": "publishes a version on a disk by a rename",
    "core/code_digest.py": SOURCE,
    "core/config_base.py": "escapes patterns",
    "core/interruption.py": "/dev/null",
    "core/memory.py": "files of the kernel",
    "core/usage.py": "files of the kernel",
    "core/shard_cache.py": "flushes local folders to disk",
    "core/source_imports.py": SOURCE,
    "pipeline/convert": CONVERTED,
    "pipeline/result_display.py": RUN,
    "pipeline/file_paths.py": SOURCE,
    "pipeline/init/backbone.py": FILE,
    "pipeline/init/command.py": FILE,
    "pipeline/init/class_folders.py": CONVERTED,
    "pipeline/init/converted.py": CONVERTED,
    "pipeline/init/folders.py": CONVERTED,
    "pipeline/init/tables.py": CONVERTED,
    "pipeline/kubeflow/connection.py": "the file of an access token",
    "pipeline/kubeflow/publish.py": FILE,
    "pipeline/kubeflow/workers/jobs.py": "the namespace of a pod, which Kubernetes puts into a file",
    "pipeline/lineage.py": RUN,
    "pipeline/load.py": FILE,
    "pipeline/make_module.py": "models and modules on this machine, moved to their place by a rename",
    "pipeline/local.py": RUN,
    "pipeline/machine_faults.py": RUN,
    "pipeline/output.py": RUN,
    "pipeline/paths.py": RUN,
    "pipeline/plan.py": RUN,
    "pipeline/predict/predict.py": "`--output` and `--draw` are folders on this machine",
    "pipeline/endings.py": "turns standard output off when its reader is gone",
    "pipeline/looks/destinations.py": "checks the folder of a destination on this machine",
    "pipeline/reasons.py": RUN,
    "pipeline/report.py": RUN,
    "pipeline/runs.py": RUN,
    "pipeline/schema.py": RUN,
    "pipeline/tensorboard.py": "links logs of runs, and copies of logs in a store, into a folder on this machine",
    "pipeline/unchanged.py": RUN,
    "pipeline/upkeep.py": RUN,
    "trainer/adapters/tensorflow_library.py": "libraries of the installed TensorFlow",
    "trainer/user_function.py": SOURCE,
    "trainer/user_source.py": SOURCE,
    "trainer/inputs.py": TEMPORARY,
}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fsspec", ["fsspec"]),
        ("from glob import escape", ["glob"]),
        ("from tfx.dsl.io import fileio", ["tfx.dsl.io.fileio"]),
        ("from apache_beam.io.filesystems import FileSystems", ["apache_beam.io.filesystems"]),
        ("import tensorflow as tf\ntf.io.gfile.exists(path)", ["tf.io.gfile", ".exists"]),
        ("with open(path) as file:\n    pass", ["open"]),
        ("Path(path).open()", [".open"]),
        ("os.listdir(path)", ["os.listdir"]),
        ("path.read_text()", [".read_text"]),
        ("storage.exists(path)\nasked.open()\nstorage.open_binary(path)", []),
    ],
)
def test_uses_are_found(source: str, found: list[str]) -> None:
    uses = list(file_uses(source))
    assert set(found) <= set(uses) and bool(uses) == bool(found)


@pytest.mark.slow
def test_files_are_used_through_storage() -> None:
    found = {
        str(path.relative_to(ROOT)): sorted(set(file_uses(path.read_text())))
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if not path.is_relative_to(ROOT / "core" / "storage")
    }
    using = {path: uses for path, uses in found.items() if uses}
    explained = {place: [path for path in using if path == place or path.startswith(f"{place}/")] for place in REASONS}
    unexplained = using.keys() - {path for paths in explained.values() for path in paths}
    assert not {path: using[path] for path in sorted(unexplained)}, "use hubline.core.storage, or give a reason here"
    assert not [place for place, paths in explained.items() if not paths], "these use no files any more"
    anywhere = {"fsspec", "s3fs", "gcsfs", "adlfs", "tf.io.gfile", "tfx.dsl.io.fileio", "tfx.utils.io_utils"}
    assert not {path: uses for path, uses in using.items() if anywhere & set(uses)}, "use hubline.core.storage"
