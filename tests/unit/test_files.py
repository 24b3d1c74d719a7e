"""Digests, versions, pins, handles: facts about files before a run."""

import hashlib
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tensorflow as tf

from hubline.components.config.data import Data
from hubline.components.config.splits import PatternSplit
from hubline.components.hub_module.fetch import fetch
from hubline.components.hub_module.fingerprint import fingerprint
from hubline.components.hub_module.handle import MIRROR
from hubline.components.pin.snapshot import pin_files, pin_serving, pin_vocabularies
from hubline.core import storage
from hubline.core.digest import file_digest, tree_digest
from hubline.core.errors import UserError
from hubline.preprocessing.kinds.categorical import CategoricalFeature
from hubline.serving.push import push
from hubline.serving.versions import newest_version, versions
from tests.support import hub_modules
from tests.support import model as make_model
from tests.support.web import Site, serving


def tree(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_pb", ".pb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_digests_are_what_the_shell_prints(tmp_path: Path) -> None:
    tree(tmp_path / "m", saved_model_pb="graph", variables__a="1", **{"assets__b c": "2", "Z": "3"})
    shell = "find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum | cut -d' ' -f1"
    printed = subprocess.check_output(shell, shell=True, cwd=tmp_path / "m", text=True).strip()
    assert tree_digest(str(tmp_path / "m")) == printed
    printed = subprocess.check_output(["sha256sum", "m/Z"], cwd=tmp_path, text=True).split()[0]
    assert file_digest(str(tmp_path / "m" / "Z")) == printed


def test_a_tree_digest_sees_names_and_contents_but_not_times(tmp_path: Path) -> None:
    one = tree_digest(str(tree(tmp_path / "one", a="1", b="2")))
    assert tree_digest(str(tree(tmp_path / "same", b="2", a="1"))) == one
    assert tree_digest(str(tree(tmp_path / "renamed", a="1", c="2"))) != one
    assert tree_digest(str(tree(tmp_path / "changed", a="1", b="3"))) != one


def test_versions_are_integers_that_are_whole(tmp_path: Path) -> None:
    for name in ("1", "03", "20"):
        tree(tmp_path / name, saved_model_pb="")
    tree(tmp_path / "100", half="no saved_model.pb")
    tree(tmp_path / "backup", saved_model_pb="")
    assert versions(str(tmp_path)) == ["1", "03", "20"]
    assert newest_version(str(tmp_path)) == f"{tmp_path}/20"
    assert newest_version(str(tmp_path / "nothing")) is None


def test_pinned_files_change_when_a_file_does(tmp_path: Path) -> None:
    tree(tmp_path, b="22", a="1", _SUCCESS="", **{".hidden": "x"})
    data = Data(examples=str(tmp_path))
    before = pin_files(data)
    (pinned,) = before.by_split.values()
    assert [file.path.rpartition("/")[2] for file in pinned] == ["a", "b"]
    assert [file.size for file in pinned] == [1, 2]
    assert pin_files(data) == before
    (tmp_path / "a").write_text("2")
    assert pin_files(data) != before


def vocabulary(file: str) -> CategoricalFeature:
    return CategoricalFeature.model_validate({"kind": "categorical", "vocabulary": {"file": file}})


def test_vocabularies_are_pinned_by_their_content_wherever_they_are(tmp_path: Path) -> None:
    storage.write_text("memory://words.txt", "red\ngreen\n")
    (tmp_path / "words.txt").write_text("red\ngreen\n")
    features = {"far": vocabulary("memory://words.txt"), "near": vocabulary(f"{tmp_path}/words.txt")}
    pinned = pin_vocabularies(features)
    assert pinned == dict.fromkeys(("far", "near"), file_digest(f"{tmp_path}/words.txt"))
    (tmp_path / "words.txt").write_text("green\nred\n")
    assert pin_vocabularies(features) == pinned | {"near": hashlib.sha256(b"green\nred\n").hexdigest()}


def test_all_vocabularies_with_faults_are_named_with_their_features(tmp_path: Path) -> None:
    (tmp_path / "twice").write_text("red\nred\n")
    features = {"one": vocabulary("memory://nowhere.txt"), "two": vocabulary(f"{tmp_path}/twice")}
    with pytest.raises(UserError) as error:
        pin_vocabularies(features)
    first, second = str(error.value).split("\n")
    assert first.startswith("features.one.vocabulary: memory://nowhere.txt: there is no such file")
    assert second.startswith(f"features.two.vocabulary: {tmp_path}/twice: 'red' is in lines 1, 2")


def test_patterns_split_by_file_and_no_file_is_in_two(tmp_path: Path) -> None:
    tree(tmp_path, **{"train-1": "", "train-2": "", "val-1": "", "test-1": ""})
    split = PatternSplit(train="train-*", validation="val-*", test=f"{tmp_path}/test-*")
    pinned = pin_files(Data(examples=str(tmp_path), split=split)).by_split
    assert {name: len(files) for name, files in pinned.items()} == {"train": 2, "validation": 1, "test": 1}
    overlapping = PatternSplit(train="t*", validation="val-*", test="test-*")
    with pytest.raises(UserError, match=r"test-1: matches data.split.train and data.split.test"):
        pin_files(Data(examples=str(tmp_path), split=overlapping))


def test_no_files_is_an_error_that_names_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"/none-\*: no files matched"):
        pin_files(Data(examples=f"{tmp_path}/none-*"))


def test_pushes_number_upwards_and_leave_nothing_else(tmp_path: Path) -> None:
    model = tree(tmp_path / "model", saved_model_pb="graph", variables__v="weights")
    serving = tmp_path / "a" / "serving"
    assert push(str(model), str(serving)) == f"{serving}/1"
    assert push(str(model), str(serving)) == f"{serving}/2"
    assert sorted(path.name for path in serving.iterdir()) == ["1", "2"]
    assert tree_digest(str(serving / "2")) == tree_digest(str(model))
    pinned = pin_serving(str(serving))
    assert pinned is not None and pinned.path == f"{serving}/2" and pinned.digest == tree_digest(str(model))


def test_a_push_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tree(tmp_path / "model", saved_model_pb="graph")
    serving = tmp_path / "serving"

    def copy_half(source: str, target: str) -> None:
        Path(target).mkdir()
        Path(target, "half").touch()
        assert newest_version(str(serving)) is None
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "copy_tree", copy_half)
    with pytest.raises(KeyboardInterrupt):
        push(str(model), str(serving))
    assert list(serving.iterdir()) == []


def test_a_push_into_an_object_store_writes_saved_model_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tree(tmp_path / "model", fingerprint_pb="f", saved_model_pb="graph", variables__v="weights")
    copied = []
    copy_new = storage.copy_new

    def noted(source: str, target: str) -> bool:
        copied.append(target)
        return copy_new(source, target)

    monkeypatch.setattr(storage, "copy_new", noted)
    version = push(str(model), "memory://serving")
    assert version == "memory://serving/1"
    assert copied[-1] == "memory://serving/1/saved_model.pb" and len(copied) == 3
    assert newest_version("memory://serving") == version
    assert tree_digest(version) == tree_digest(str(model))


def test_an_unwritable_serving_folder_is_named(tmp_path: Path) -> None:
    model = tree(tmp_path / "model", saved_model_pb="graph")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"/file/serving: the serving folder is not writable: Not a directory"):
        push(str(model), str(tmp_path / "file" / "serving"))


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub_modules.mean_colour(tmp_path_factory.mktemp("module") / "mean")


def archive(module: Path, path: Path, inside: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(module, arcname=inside)
    return path


def answers(path: str) -> list[float]:
    return tf.saved_model.load(path)(tf.ones([1, 8, 8, 3])).numpy()[0].tolist()


def test_a_folder_is_used_where_it_is(module: Path, tmp_path: Path) -> None:
    assert fetch(str(module), None, str(tmp_path)) == (str(module), tree_digest(str(module)))


@pytest.mark.parametrize("inside", [".", "mean_1"])
def test_an_archive_is_unpacked_and_its_digest_is_the_file_s(module: Path, tmp_path: Path, inside: str) -> None:
    packed = archive(module, tmp_path / "mean.tar.gz", inside)
    path, digest = fetch(str(packed), file_digest(str(packed)), str(tmp_path / "into"))
    assert digest == file_digest(str(packed)) == fingerprint(str(packed))
    assert answers(path) == answers(str(module))


@pytest.mark.slow
def test_a_module_is_fetched_from_every_store(module: Path, tmp_path: Path, place: str) -> None:
    packed = archive(module, tmp_path / "mean.tar.gz", ".")
    storage.copy_tree(str(module), f"{place}/hubs/mean")
    storage.copy(str(packed), f"{place}/hubs/mean.tar.gz")
    for number, handle in enumerate((f"{place}/hubs/mean", f"{place}/hubs/mean.tar.gz")):
        path, digest = fetch(handle, None, str(tmp_path / str(number)))
        assert answers(path) == answers(str(module)), handle
        assert digest == (file_digest(str(packed)) if handle.endswith("gz") else tree_digest(str(module)))
        assert fingerprint(handle) == fingerprint(handle) != ""


@pytest.mark.slow
def test_a_hub_is_asked_once_and_then_its_cache(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = archive(module, tmp_path / "mean.tar.gz", ".").read_bytes()
    asked = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("hubline.components.hub_module.web.HUBS", ("127.0.0.1",))
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        handle = f"http://127.0.0.1:{server.server_port}/google/mean/1"
        for _ in range(2):
            path, digest = fetch(handle, tree_digest(str(module)), str(tmp_path / "into"))
            assert answers(path) == answers(str(module)) and digest == tree_digest(str(module))
        server.shutdown()
    assert asked == ["/google/mean/1?tf-hub-format=compressed"]


@pytest.mark.slow
def test_an_address_that_is_no_hub_s_is_fetched_as_it_is_now(module: Path, tmp_path: Path) -> None:
    site = Site()
    other = make_model.saved(tmp_path / "other", make_model.Classifier())
    with serving(site) as address:
        for number, (source, path) in enumerate([(module, "latest.tar.gz"), (other, "latest.tar.gz"), (other, "m/1")]):
            site.content = archive(source, tmp_path / "x.tar.gz", "inside").read_bytes()
            into = tmp_path / f"into{number}"
            into.mkdir()
            found, digest = fetch(f"{address}/{path}", None, str(into))
            assert digest == tree_digest(found) == tree_digest(str(source))
        site.content = site.content[:100]
        with pytest.raises(UserError, match=r"^http://127.0.0.1:[0-9]+/latest.tar.gz: not a complete \.tar\.gz"):
            fetch(f"{address}/latest.tar.gz", None, str(tmp_path / "into0"))
    assert site.asked == ["GET /latest.tar.gz"] * 2 + ["GET /m/1?tf-hub-format=compressed", "GET /latest.tar.gz"]


def test_a_mirror_stands_in_for_a_hub(module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(module, tmp_path / "1.tar.gz", ".")
    place = tmp_path / "mirror" / "google" / "mean"
    place.mkdir(parents=True)
    (tmp_path / "1.tar.gz").rename(place / "1.tar.gz")
    monkeypatch.setenv(MIRROR, str(tmp_path / "mirror"))
    path, _ = fetch("https://tfhub.dev/google/mean/1", None, str(tmp_path / "into"))
    assert answers(path) == answers(str(module))
    with pytest.raises(UserError, match=r"google/absent/1.tar.gz: there is no hub module here"):
        fetch("https://tfhub.dev/google/absent/1", None, str(tmp_path / "into2"))


def test_handles_that_cannot_be_had(module: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no hub module here"):
        fetch(str(tmp_path / "absent"), None, str(tmp_path / "a"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no saved_model.pb"):
        fetch(str(tmp_path / "empty"), None, str(tmp_path / "b"))
    packed = archive(module, tmp_path / "mean.tar.gz", ".")
    packed.write_bytes(packed.read_bytes()[:200])
    with pytest.raises(UserError, match=r"mean.tar.gz: not a complete .tar.gz"):
        fetch(str(packed), None, str(tmp_path / "c"))
    with pytest.raises(UserError, match=r"its sha256 is [0-9a-f]{64}, but the pipeline file sets 0000"):
        fetch(str(module), "0" * 64, str(tmp_path / "d"))
    with pytest.raises(UserError, match="memory://no/such: there is no hub module here"):
        fingerprint("memory://no/such")
    with pytest.raises(UserError, match="memory://no/such: there is no hub module here"):
        fetch("memory://no/such", None, str(tmp_path / "e"))
    # Nothing listens on loopback port 9 (discard), so the resolver fails at once.
    with pytest.raises(UserError, match=r"http://127.0.0.1:9/x/1: the hub module cannot be had"):
        fetch("http://127.0.0.1:9/x/1", None, str(tmp_path / "f"))
