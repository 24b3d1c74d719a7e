"""Converts clips in one folder per class: folders of frames, animations and video files."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence

from hubline.core.errors import UserError
from hubline.core.package_versions import install_command
from hubline.pipeline.convert.collection import Bad, Collection, ConvertedExample
from hubline.pipeline.convert.folders import by_class, encoded, entries_of, printable
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.labels import FILE, LABEL
from hubline.pipeline.convert.picture import picture
from hubline.preprocessing.image_files import encoded as encode
from hubline.preprocessing.image_files import opened, orientation, undecodable, upright

FRAMES, RATE = "frames", "fps"

_ANIMATIONS = {".gif", ".webp", ".png", ".apng"}
"""Read by Pillow."""
_VIDEOS = {".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts", ".webm", ".wmv"}
"""Read by PyAV."""
_EARLY = 1e-3
"""Fraction of the sampling interval by which a frame may be early, because times are rounded."""


@dataclass(frozen=True)
class Frames:
    """Which frames of a clip are taken, and how they are stored."""

    per_second: float | None = None
    """Frames per second; None for all."""
    most: int | None = None
    """Maximum number of frames, from the start."""
    size: tuple[int, int] | None = None
    """Height and width; None for those of the frames."""
    quality: int = 90
    """Quality of the JPEGs."""


@dataclass(frozen=True)
class _Clip:
    rate: float | None
    """Average frames per second; None if unknown."""
    frames: Iterator[tuple[float, Image.Image]]
    """Frames with their times in seconds."""


def in_folders(folder: Path, wanted: Frames, sequence_examples: bool = False) -> Collection[tuple[str, str]]:
    """Clips in one folder per class. A clip is a folder of frames in natural order of their names, an animation, or a
    video file.

    Args:
        folder: Contains the class folders.
        wanted: Which frames to take, and how to store them.
        sequence_examples: Whether to write tf.SequenceExamples with one step per frame.

    Raises:
        UserError: as `by_class` does, or if there are video files and PyAV is not installed.
    """
    listing = by_class(folder, "clips", folders_too=True)
    videos = [file for file, _ in listing.entries if _is_video(file)]
    if videos:
        _check_av(folder / videos[0], len(videos))

    def make(entry: tuple[str, str]) -> ConvertedExample:
        file, label = entry
        row = {LABEL: [encoded(label)], FILE: [encoded(file)]}
        if (folder / file).is_dir():
            return ConvertedExample({FRAMES: _of_folder(folder / file, wanted), **row})
        frames, rate = _of_file(folder / file, wanted)
        return ConvertedExample({FRAMES: frames, RATE: [rate] if rate else [], **row})

    return Collection(
        items=listing.entries,
        count=len(listing.entries),
        place=lambda entry: printable(entry[0]),
        make=make,
        columns={FRAMES: CellType.BYTES, LABEL: CellType.BYTES, FILE: CellType.BYTES, RATE: CellType.FLOAT},
        label=LABEL,
        steps=frozenset({FRAMES} if sequence_examples else ()),
        bad=listing.bad,
        notes=listing.notes,
    )


def _of_folder(folder: Path, wanted: Frames) -> list[bytes]:
    """Frames in a folder. JPEG and PNG stay unchanged unless a size is requested."""
    if wanted.per_second:
        raise Bad("--frames-per-second: a folder of frames has no frame rate")
    frames = []
    for entry in islice(entries_of(folder), wanted.most):
        try:
            data = Path(entry.path).read_bytes()
            image = opened(data)
            if wanted.size is None and image.format in ("JPEG", "MPO", "PNG"):
                frames.append(picture(data).encoded)
            else:
                frames.append(_encoded(upright(image, orientation(data)), wanted))
        except (Bad, OSError) as error:
            reason = error if isinstance(error, Bad) else f"cannot be read: {error.strerror}"
            raise Bad(f"{printable(entry.name)}: {reason}") from error
    if not frames:
        raise Bad("the folder contains no frames")
    return frames


def _of_file(path: Path, wanted: Frames) -> tuple[list[bytes], float | None]:
    """Frames of an animation or video file, and its frames per second."""
    if _is_video(path.name):
        clip = _video(path)
    elif path.suffix.lower() in _ANIMATIONS:
        clip = _animation(path)
    else:
        raise Bad("is neither a folder of frames nor, by its extension, an animation or video file")
    if wanted.per_second and not clip.rate:
        raise Bad("--frames-per-second: the file has no frame rate")
    frames = [_encoded(image, wanted) for image in islice(_sampled(clip, wanted.per_second), wanted.most)]
    if not frames:
        raise Bad("contains no frames")
    return frames, min(filter(None, (clip.rate, wanted.per_second)), default=None)


def _sampled(clip: _Clip, per_second: float | None) -> Iterator[Image.Image]:
    """The first frame in each interval of 1 / `per_second` seconds."""
    last = -1
    for time, image in clip.frames:
        part = int(time * per_second + _EARLY) if per_second else last + 1
        if part > last:
            last = part
            yield image


def _animation(path: Path) -> _Clip:
    """A GIF, WebP or PNG with several frames."""
    image = opened(path.read_bytes())
    if getattr(image, "n_frames", 1) < 2:
        raise Bad("is a single image; a clip must be a folder of frames, an animation or a video file")

    def frames() -> Iterator[tuple[float, Image.Image]]:
        time = 0.0
        for frame in ImageSequence.Iterator(image):
            yield time, frame
            time += _seconds(frame)

    try:
        durations = [_seconds(frame) for frame in ImageSequence.Iterator(image)]
    except Exception as error:
        raise undecodable(error) from error
    return _Clip(len(durations) / sum(durations) if any(durations) else None, frames())


def _seconds(frame: Image.Image) -> float:
    """Duration of a frame in seconds."""
    frame.load()  # WebP reports it only then
    return frame.info.get("duration", 0) / 1000


def _video(path: Path) -> _Clip:
    """A video file."""
    import av

    def frames(stream: Any) -> Iterator[tuple[float, Image.Image]]:
        try:
            for frame in container.decode(stream):
                image = frame.to_image()
                # Phones record their orientation, as cameras do in EXIF.
                yield frame.time or 0.0, image.rotate(frame.rotation, expand=True) if frame.rotation else image
        except av.FFmpegError as error:
            raise Bad(f"does not decode: {error.strerror}") from error
        finally:
            container.close()

    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise Bad(f"does not decode: {error.strerror}") from error
    if not container.streams.video:
        container.close()
        raise Bad("contains no video")
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1  # each core has its own clip already
    return _Clip(float(stream.average_rate) if stream.average_rate else None, frames(stream))


def _encoded(image: Image.Image, wanted: Frames) -> bytes:
    """A frame as JPEG, in the requested size."""
    try:
        image = image.convert("RGB")
        if wanted.size:
            height, width = wanted.size
            image = image.resize((width, height))
        return encode(image, "JPEG", wanted.quality, "4:2:0")
    except Exception as error:
        raise undecodable(error) from error


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in _VIDEOS


def _check_av(path: Path, count: int) -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise UserError(
            f"{path}: {count:,} video files require PyAV, which is not installed: "
            f"{install_command('av>=14')}. Folders of frames and animated GIFs don't need it"
        ) from None
