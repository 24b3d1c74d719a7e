"""What ExampleGen notes beside the splits it writes."""

from tfx.dsl.io import fileio

from preprocessing.section import Section

_FILE = "manifest.json"


class Manifest(Section):
    """Where the records of an Examples artifact came from, what holds images in them, and how many each split got."""

    sources: tuple[str, ...]
    images: tuple[str, ...]
    counts: dict[str, int]

    def write(self, uri: str) -> None:
        """Writes the manifest into an Examples artifact."""
        with fileio.open(f"{uri}/{_FILE}", "w") as file:
            file.write(self.model_dump_json(indent=2))

    @classmethod
    def read(cls, uri: str) -> "Manifest":
        """The manifest of an Examples artifact that our ExampleGen wrote."""
        with fileio.open(f"{uri}/{_FILE}", "r") as file:
            return cls.model_validate_json(file.read())
