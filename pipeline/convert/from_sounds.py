"""Converts WAV files in class folders."""

import io
import wave
from pathlib import Path

from hubline.pipeline.convert.collection import Bad, Collection, ConvertedExample
from hubline.pipeline.convert.folders import by_class, encoded, printable
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.labels import FILE, LABEL
from hubline.preprocessing.encoded_sounds import WAV

AUDIO = "audio"
_BYTES_OF_SAMPLE = 2


def in_folders(folder: Path) -> Collection[tuple[str, str]]:
    """WAV files in one folder per class, stored byte for byte.

    Raises:
        UserError: as `by_class` does.
    """
    listing = by_class(folder, "sounds")

    def make(entry: tuple[str, str]) -> ConvertedExample:
        file, label = entry
        sound = _checked((folder / file).read_bytes())
        return ConvertedExample({AUDIO: [sound], LABEL: [encoded(label)], FILE: [encoded(file)]})

    return Collection(
        items=listing.entries,
        count=len(listing.entries),
        place=lambda entry: printable(entry[0]),
        make=make,
        columns={AUDIO: CellType.BYTES, LABEL: CellType.BYTES, FILE: CellType.BYTES},
        label=LABEL,
        bad=listing.bad,
        notes=listing.notes,
    )


def _checked(sound: bytes) -> bytes:
    """The file itself, if it can be decoded."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            width, count = file.getsampwidth(), file.getnframes()
            complete = len(file.readframes(count)) == count * width * file.getnchannels()
    except (wave.Error, EOFError) as error:
        raise Bad(f"is not {WAV}: {error or 'it is cut off'}") from None
    if width != _BYTES_OF_SAMPLE:
        raise Bad(f"has {8 * width} bits a sample; it must be {WAV}")
    if not count or not complete:
        raise Bad("has no samples" if not count else "is cut off")
    return sound
