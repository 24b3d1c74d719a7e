"""Copies the taxi trips that TFX ships to `data`: 15,000 trips in Chicago, as TFRecords of tf.Examples.

The data is modified from its original source, the City of Chicago's data portal (https://data.cityofchicago.org), which
makes no claims as to its content or accuracy, and provides it as is, to be used at one's own risk.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

DATA = Path(__file__).parent / "data"


def files() -> list[Path]:
    """TFX's data files, GZIP."""
    tfx = find_spec("tfx")
    assert tfx is not None and tfx.origin is not None, "TFX is not installed; run `make setup`"
    source = Path(tfx.origin).parent / "components" / "testdata" / "csv_example_gen"
    return sorted(file for split in ("Split-train", "Split-eval") for file in (source / split).iterdir())


def main() -> None:
    """Copies missing files."""
    DATA.mkdir(exist_ok=True)
    for file in files():
        target = DATA / f"{file.parent.name.removeprefix('Split-')}-{file.name.removesuffix('.gz')}.tfrecord.gz"
        if not target.exists():
            shutil.copyfile(file, target)
    print(f"{DATA}: {len(list(DATA.iterdir()))} files")


if __name__ == "__main__":
    main()
