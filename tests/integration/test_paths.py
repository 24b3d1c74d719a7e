"""Paths are names, not patterns; quarantined records are in a single list."""

from pathlib import Path

import pytest

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.quarantine import read_quarantine
from hubline.pipeline.run import run
from tests.support import example_data
from tests.support.project import PIPELINE, make_project

pytestmark = pytest.mark.slow


@pytest.mark.both_stacks
def test_a_run_in_a_folder_with_the_characters_of_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "a*b? {x}"
    quarantine = "data:\n  bad_records: {policy: quarantine, max_fraction: 0.1}\n"
    records = example_data.labelled(200)
    records[10] = example_data.record(image=example_data.random_image(0))  # no label
    records[21] = example_data.record(image=example_data.random_image(0)[:60], label=0)
    path = make_project(folder, PIPELINE.replace("data:\n", quarantine), records)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error

    manifest, rows = Manifest.read(str(result.artifacts.examples)), EmbeddedRows.read(str(result.artifacts.rows))
    assert sum(manifest.counts.values()) == 199
    assert sum(map(rows.count, manifest.splits)) == 198
    assert result.decision is not None
    assert result.decision.slices[0].examples == rows.count("test")

    # One line in the terminal, and each record once in the list that it names, whichever step quarantined it.
    (said,) = (warning for warning in result.warnings if "set aside" in warning)
    count, listed = said.split(" records were set aside: ")
    found = [(Path(entry.file).name, entry.record) for entry in read_quarantine(listed)]
    assert count == "2"
    assert found == [("a.tfrecord", 5), ("b.tfrecord.gz", 10)]
