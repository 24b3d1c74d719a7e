"""Archives of hub modules: which SavedModel is used, and what is not unpacked; and addresses whose content changes."""

import io
import tarfile
from pathlib import Path

import pytest

from hubline.components.hub_module import archive as archives
from hubline.components.hub_module.archive import read_saved_model, unpack
from hubline.components.hub_module.fetch import fetch
from hubline.components.hub_module.fingerprint import fingerprint
from hubline.core.errors import UserError
from tests.support.web import Site, serving

PB = "saved_model.pb"


def packed(path: Path, contents: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("names", "home"),
    [
        ([PB, f"assets.extra/head/{PB}"], "."),
        ([f"assets.extra/head/{PB}", PB], "."),
        ([f"./assets.extra/head/{PB}", f"./{PB}"], "."),
        ([f"m/assets.extra/head/{PB}", f"m/{PB}", "m/variables/variables.index"], "m"),
        ([f"a/b/c/{PB}", f"z/{PB}", f"a/b/{PB}"], "z"),
        (["saved_model.pb.txt", f"x/{PB}"], "x"),
    ],
)
@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_the_highest_saved_model_is_meant_in_check_and_in_the_step(tmp_path: Path, names, home: str, mode: str) -> None:
    path = packed(tmp_path / "m.tar.gz", {name: name.encode() for name in names}, mode)
    folder = unpack(str(path), str(tmp_path / "into"))
    assert Path(folder) == tmp_path / "into" / home
    assert read_saved_model(str(path)) == Path(folder, PB).read_bytes()


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ({f"b/{PB}": b"1", f"a/{PB}": b"2", "c/x": b""}, "several SavedModels at the same depth, a and b"),
        ({"a/x": b"1"}, "the archive contains no saved_model.pb"),
        ({PB: b"1", "../outside": b"2"}, "an entry points outside the archive: '../outside' would be extracted to"),
        ({PB: b"1", "/".join("a" * 40): b"2"}, "lies more than 32 folders deep"),
    ],
)
def test_what_is_not_unpacked_leaves_nothing(tmp_path: Path, contents: dict[str, bytes], says: str) -> None:
    path = packed(tmp_path / "m.tar.gz", dict(reversed(contents.items())))
    for read in (read_saved_model, lambda path: unpack(path, str(tmp_path / "into"))):
        with pytest.raises(UserError) as caught:
            read(str(path))
        assert says in str(caught.value) and str(path) in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["m.tar.gz"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret"])
@pytest.mark.parametrize("sort", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_stay_inside(tmp_path: Path, sort: bytes, target: str) -> None:
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("variables")
        member.type, member.linkname = sort, target
        tar.addfile(member)
        tar.addfile(tarfile.TarInfo(f"m/{PB}"), io.BytesIO())
    for read in (read_saved_model, lambda path: unpack(path, str(tmp_path / "into"))):
        with pytest.raises(UserError, match="an entry points outside the archive"):
            read(str(path))
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("name", ["", ".", "m/..", "./"])
def test_no_entry_replaces_the_folder_that_it_is_unpacked_into(tmp_path: Path, name: str) -> None:
    path = tmp_path / "m.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = (
            tarfile.SYMTYPE,
            "beside",
        )  # beside the folder, once it is there
        tar.addfile(member)
        tar.addfile(tarfile.TarInfo(PB), io.BytesIO())
    (tmp_path / "beside").mkdir()
    for read in (read_saved_model, lambda path: unpack(path, str(tmp_path / "into"))):
        with pytest.raises(UserError, match=r"stands for its own folder|points outside the archive"):
            read(str(path))
    assert not (tmp_path / "into").exists() and not list((tmp_path / "beside").iterdir())


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08\x00" + bytes(40), b"a\x00" * 300, bytes(99) + b"1" * 500])
def test_a_damaged_archive_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.tar"
    path.write_bytes(content)
    for read in (read_saved_model, lambda path: unpack(path, str(tmp_path / "into"))):
        with pytest.raises(UserError, match=str(path)):
            read(str(path))


@pytest.mark.slow
def test_a_small_archive_does_not_become_a_large_folder(tmp_path: Path) -> None:
    path = tmp_path / "m.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("m/variables/variables.data-00000-of-00001")
        member.size = archives.FREE_BYTES + 21 * (2 << 20)
        tar.addfile(member, _Zeros(member.size))
        tar.addfile(tarfile.TarInfo(f"m/{PB}"), io.BytesIO())
    assert path.stat().st_size < 2 << 20
    for read in (read_saved_model, lambda path: unpack(path, str(tmp_path / "into"))):
        with pytest.raises(UserError, match=r"variables.data-00000-of-00001 it comes to [0-9,]+ bytes, and its own"):
            read(str(path))
    assert not (tmp_path / "into").exists()


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        given = min(size, self._left)
        self._left -= given
        return bytes(given)


def test_too_many_files_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 10)
    path = packed(tmp_path / "m.tar.gz", {f"a/{PB}": b"", **{f"a/{number}": b"" for number in range(10)}})
    with pytest.raises(UserError, match="it holds more than 10 files"):
        read_saved_model(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("refuses_head", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"ETag": '"1"'}, {"ETag": '"2"'}),
        ({"Last-Modified": "Mon, 30 Nov 2026 00:00:00 GMT"}, {"Last-Modified": "Mon, 30 Nov 2026 00:00:01 GMT"}),
        ({}, {}),  # only the content differs
    ],
)
def test_an_address_that_names_no_version_is_asked(before: dict, after: dict, refuses_head: bool) -> None:
    site = Site()
    site.refuses_head = refuses_head
    with serving(site) as address:
        url = f"{address}/models/latest.tar.gz?key=1"
        site.content, site.headers = b"one content", before
        first = fingerprint(url)
        assert fingerprint(url) == first
        site.content, site.headers = b"two content", after
        assert fingerprint(url) != first
        site.content, site.headers = b"one content", before
        assert fingerprint(url) == first
        assert {path.partition(" ")[2] for path in site.asked} == {"/models/latest.tar.gz?key=1"}
        assert fingerprint(url, "0" * 64) == url  # the digest guarantees the content


@pytest.mark.slow
def test_the_size_of_what_an_address_gives_counts(tmp_path: Path) -> None:
    site = Site()
    with serving(site) as address:
        found = set()
        for site.refuses_head in (False, True):
            for site.content in (b"1", b"22"):
                site.headers = {"ETag": "same"}
                found.add(fingerprint(f"{address}/latest.tgz"))
        assert len(found) == 2


def test_a_download_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    site = Site()
    site.content = packed(tmp_path / "m.tar.gz", {PB: bytes(range(256)) * 100}).read_bytes()
    with serving(site) as address:
        site.sent = len(site.content) // 2
        url, received = f"{address}/m.tar.gz", rf"received {site.sent:,} of {len(site.content):,} bytes"
        for read in (lambda: fetch(url, None, str(tmp_path)), lambda: fingerprint(url)):
            with pytest.raises(UserError, match=rf"{url}: the hub module cannot be had: {received}"):
                read()
        site.sent = None
        folder, _ = fetch(url, None, str(tmp_path))
        assert Path(folder, PB).read_bytes() == bytes(range(256)) * 100


def test_an_address_on_a_hub_is_its_own_fingerprint_and_one_that_cannot_be_reached_is_named() -> None:
    for url in (
        "https://tfhub.dev/google/nnlm/2",
        "https://www.kaggle.com/models/google/nnlm/TensorFlow2/en/1",
        "https://kaggle.com/models/google/nnlm/tensorFlow2/en/1",
    ):
        assert fingerprint(url) == url
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/latest.tar.gz: the hub module cannot be had"):
        fingerprint("http://127.0.0.1:9/latest.tar.gz")
