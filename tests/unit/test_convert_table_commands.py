"""`hubline convert csv` and `hubline convert parquet` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.support.conversion import rows_of, run


def test_the_command_shows_the_columns_and_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "trips.csv", tmp_path / "data"
    path.write_text("fare;paid;when;id;zip\n12.5;true;1970-01-02;7;00501\nNA;false;;8;10001\n-;;;9;12345\n")
    options = ["--delimiter", ";", "--missing", "NA,-", "--drop", "id", "--type", "zip=bytes", "--gzip"]
    assert run(monkeypatch, "csv", path, "--output", output, *options) == 0
    printed = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    assert printed[:-2] == [
        "3 rows",
        "column type missing example",
        "fare float 2 12.5",
        "paid int64 (1 and 0) 1 true",
        "when int64 (seconds since 1970) 2 1970-01-02",
        "zip bytes 00501",
    ]
    assert printed[-2].startswith(f"3 examples in 1 file in {output}, ")
    assert printed[-1] == f"Next: hubline init {output}"
    assert rows_of(output)[0] == {"fare": [12.5], "paid": [1], "when": [86400], "zip": [b"00501"]}


def test_the_command_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"x": [[1, 2], None], "y": ["a", "1"]}), tmp_path / "a.parquet")
    arguments = ["parquet", tmp_path / "a.parquet", "--output", tmp_path / "data", "--shards", 2, "--json"]
    assert run(monkeypatch, *arguments) == 0
    said = json.loads(capfd.readouterr().out)
    assert said.pop("seconds") > 0
    common = {"notes": [], "decimal": ".", "date": "YMD", "misfits": 0}
    assert said == {
        "status": "succeeded",
        "output": str(tmp_path / "data"),
        "shards": ["data-00000-of-00002.tfrecord", "data-00001-of-00002.tfrecord"],
        "rows": 2,
        "columns": [
            {
                "name": "x",
                "type": "int64",
                "read_as": "int64",
                "multiple": True,
                "missing": 1,
                "example": "1",
                **common,
            },
            {
                "name": "y",
                "type": "bytes",
                "read_as": "bytes",
                "multiple": False,
                "missing": 0,
                "example": "a",
                **common,
            },
        ],
    }
    assert run(monkeypatch, *arguments) == 2
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "mistake" and "already contains 2 shards" in said["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.csv", "nor.csv"], "none.csv: there is no such file\nnor.csv: there is no such file\n"),
        (["."], ".: is a folder; pass the files in it\n"),
        (["a.csv", "--type", "a"], "--type a: must be NAME=TYPE, where TYPE is one of int64, float, currency, percent"),
        (["a.csv", "--type", "a=double"], "--type a=double: must be NAME=TYPE"),
        (["a.csv", "--delimiter", ";;"], "--delimiter ;;: must be a single character"),
        (["a.csv", "--encoding", "latin-99"], "--encoding latin-99: unknown encoding"),
        (["a.csv", "--type", "a=float"], "a.csv:3: column 'a': 'x' is not a number\n"),
        (["a.csv", "--output", "a.csv"], "a.csv: is a file; --output must be a folder\n"),
    ],
)
def test_mistakes_end_with_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a,b\n1,2\nx,3\n")
    assert run(monkeypatch, "csv", "--output", "out", *arguments) == 2
    assert capfd.readouterr().err.replace(f"{tmp_path}/", "").startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_help_and_mistakes_need_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1\n")
    script = (
        "import sys\n"
        "from hubline.pipeline.cli import main\n"
        "for arguments in (['csv', '--help'], ['csv', sys.argv[1], '--output', 'out']):\n"
        "    sys.argv = ['hubline', 'convert', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        print(end.code)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.csv")], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-2:] == ["2", "False"], ran.stderr
    assert "trips-*.csv" in ran.stdout
