"""once: what DVC finds and writes is the same, with less work."""

import contextlib
import io
import os
from pathlib import Path

import pytest
from dvc.dependency import param
from dvc.fs import localfs
from dvc.output import Output
from dvc.repo import Repo
from dvc.utils.serialize import _yaml, dumps_yaml

from stages.settings import yaml12
from tests.conftest import ROOT
from tools import once

LOCK = yaml12.load(ROOT / "dvc.lock")["stages"]


@pytest.fixture
def counted(monkeypatch):
    """How often DVC's own was called, by name."""
    calls = {}

    def count(owner, name):
        plain = getattr(owner, name)

        def counting(*given, **named):
            calls[name] = calls.get(name, 0) + 1
            return plain(*given, **named)

        monkeypatch.setattr(owner, name, counting)

    for owner, name in ((param, "load_path"), (Output, "_build"), (_yaml, "_dump")):
        count(owner, name)
    return calls


@pytest.fixture
def repo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("a: {b: [1, 2], c: null}\n'd.e': 3\nf: 4\n")
    Path("code").write_text("1")
    Path("dvc.yaml").write_text(
        "stages:\n  one:\n    cmd: echo 1 > out\n    deps: [code]\n    params: [a.b, a.c, f, g]\n    outs: [out]\n"
    )
    return Repo.init(no_scm=True)


def test_stages_are_written_as_by_dvc_itself():
    for name, stage in LOCK.items():
        for data in (stage, {"stages": {name: stage}}):
            plain = dumps_yaml(data)
            stream = io.StringIO()
            assert once._written(data, _yaml._dump) == plain
            with once.done():
                assert dumps_yaml(data) == plain
                _yaml._dump(data, stream)
            assert stream.getvalue() == plain


@pytest.mark.parametrize(
    "dependency",
    [
        *({"path": path} for path in ("data/a b", "on", "../x", "a:b", "data/é", "1/2", "data/#x", "null")),
        {"path": "stages/a.py", "md5": "1234567890"},
        {"path": "stages/a.py", "md5": "12e45"},
        {"path": "stages/a.py", "size": 1.0},
        {"path": "stages/a.py", "isexec": True},
    ],
)
def test_what_yaml_may_quote_is_left_to_dvc(dependency):
    data = {"cmd": "a", "deps": [dependency], "outs": []}
    assert once._written(data, _yaml._dump) is None
    with once.done():
        assert dumps_yaml(data) == dumps_yaml(data)


def test_params_are_parsed_when_they_change(repo, counted):
    def read(*keys):
        return param.read_param_file(localfs, "params.yaml", list(keys), flatten=True)

    keys = ("a.b", "a.c", "f", "g", "a", "d.e", "a.b.0", "f*")
    plain = {key: read(key) for key in keys}
    assert plain["a.c"] == {"a.c": None} and plain["g"] == {}
    counted.clear()
    with once.done():
        assert {key: read(key) for key in keys} == plain
        found = read("a")
        found["a"]["b"].append(3)
        assert read("a") == plain["a"]
        assert counted.pop("load_path") == 1
        Path("params.yaml").write_text("a: 5\n")
        assert read("a", "f") == {"a": 5}
    assert param.load_path(str(Path("params.yaml").resolve()), localfs) == {"a": 5}


def test_a_file_is_looked_up_when_it_changes(repo, counted):
    [stage] = repo.index.stages
    with once.done():
        [code] = [dependency for dependency in stage.deps if dependency.def_path == "code"]
        first = code.get_hash()
        code.save()
        code.hash_info.obj_name = "changed"
        assert code.get_hash() == first and code.get_hash().obj_name != "changed"
        assert counted["_build"] == 1
        known = Path("code").stat()
        Path("code").write_text("2")
        os.utime("code", ns=(known.st_atime_ns, known.st_mtime_ns + 10**9))
        assert code.get_hash() != first
        Path("code").unlink()
        with contextlib.suppress(FileNotFoundError):
            code.get_hash()
            raise AssertionError("it is gone")


def test_paths_that_are_held_are_not_entered_again_and_others_are(repo):
    import dvc.rwlock

    file = Path(repo.tmp_dir) / "rwlock"

    def locked(read, write):
        return dvc.rwlock.rwlock(repo.tmp_dir, localfs, "x", read, write, False)

    with once.done():
        with locked(["a", "b"], ["c"]):
            held = file.read_bytes()
            with locked(["a", "c"], []):
                assert file.read_bytes() == held
                file.touch()
            with locked(["a"], ["d"]):
                assert b'"d"' in file.read_bytes()
            assert b'"d"' not in file.read_bytes()
        assert b'"c"' not in file.read_bytes()
