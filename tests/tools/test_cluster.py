"""cluster: stages as tasks of a Ray cluster of several nodes, one of which is lost, or which see no checkout."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
# Each begins with a line in $RUNS, outside the checkout; the first run of `lost@b` lasts until something ends it.
GRAPH = """
stages:
  first:
    cmd: echo first $$ >> $RUNS; echo 1 > first
    outs: [first]
  lost:
    foreach: [a, b]
    do:
      cmd: sh lost.sh ${item}
      deps: [first, lost.sh]
      outs: ['${item}']
  last:
    cmd: echo last $$ >> $RUNS; cat a b > last
    deps: [a, b]
    outs: [last]
"""
LOST = """
echo $1 $$ $OMP_NUM_THREADS >> $RUNS
echo said by $1
if [ $1 = b ] && [ $(grep -c '^b ' $RUNS) = 1 ]; then sleep 600; fi
echo $1 > $1
"""
# Where each command runs is a line in $RUNS; what `here` reads is outside the checkout.
OVER_REMOTE = """
stages:
  first:
    cmd: echo first $PWD >> $RUNS; cp 실은.txt first
    deps: [실은.txt]
    outs: [first]
  many:
    cmd: echo many $PWD >> $RUNS; mkdir many; cp first many/one; echo 2 > many/two; echo 3 > number.json
    deps: [first]
    outs: [many]
    metrics:
      - number.json:
          cache: false
  part:
    cmd: echo part $PWD >> $RUNS; cat many/two number.json > part; ls many > $RUNS.seen
    deps: [many/two, number.json]
    outs: [part]
  folder:
    foreach: [a, b]
    do:
      cmd: mkdir -p made; cp first made/${item}
      deps: [first]
      outs: ['made/${item}']
  whole:
    cmd: cat made/* > whole
    deps: [made]
    outs: [whole]
  here:
    cmd: echo here $PWD >> $RUNS; cat part ../outside > here
    deps: [part, ../outside]
    outs: [here]
"""


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    """A cluster with a head that runs nothing, and two nodes of one processor."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("nodes")))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made
    made.shutdown()


def begun():
    """DVC initialized in the working directory; the environment of commands."""
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("remote", [[], ["--ray-remote", "shared"]], ids=["one file system", "a remote"])
def test_a_stage_whose_node_is_lost_runs_again_and_no_other_does(cluster, repository, tmp_path_factory, remote):
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "lost.sh").write_text(LOST)
    runs = tmp_path_factory.mktemp("elsewhere") / "runs"
    environment = begun() | {"RUNS": str(runs)}
    if remote:
        url = str(runs.with_name("remote"))
        subprocess.run([sys.executable, "-m", "dvc", "remote", "add", "-q", "shared", url], env=environment, check=True)
    command = [sys.executable, "-m", "tools.repro", "--ray-address", cluster.address, *remote]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "lost@b | said by b\n" and len(cluster.nodes) == 2:
                [pid] = [int(run.split()[1]) for run in runs.read_text().splitlines() if run[0] == "b"]
                lost = psutil.Process(pid)
                above = {parent.pid for parent in lost.parents()}
                [node] = [n for n in cluster.nodes if n.all_processes["raylet"][0].process.pid in above]
                cluster.nodes.remove(node)
                cluster.remove_node(node, allow_graceful=False)
    assert process.returncode == 0, said
    assert sorted(run.split()[0] for run in runs.read_text().splitlines()) == ["a", "b", "b", "first", "last"]
    assert Path("last").read_text() == "a\nb\n"
    assert sum("what ran it is lost" in line for line in said) == 1
    assert not psutil.wait_procs([lost], timeout=10)[1]
    again = subprocess.run([*command], env=environment, text=True, capture_output=True, check=True)
    assert "up to date" in again.stdout


def test_nodes_that_see_no_checkout_are_brought_data_by_a_remote(cluster, repository, tmp_path_factory):
    folder, elsewhere = repository.path, tmp_path_factory.mktemp("elsewhere")
    (folder / "dvc.yaml").write_text(OVER_REMOTE, encoding="utf-8")
    (folder / "실은.txt").write_text("1\n")
    (folder.parent / "outside").write_text("4\n")
    environment = begun() | {"RUNS": str(elsewhere / "runs"), "TMPDIR": str(folder)}
    build = [sys.executable, "-m", "tools.repro", "--ray-address", cluster.address, "--ray-remote", "shared"]
    how = {"env": environment, "text": True, "capture_output": True, "check": False}
    refused = subprocess.run(build, **how)
    assert "--ray-remote shared: other machines know the remotes of .dvc/config, of which there are: none" in (
        refused.stderr
    )
    subprocess.run(["dvc", "remote", "add", "-q", "shared", str(elsewhere / "remote")], env=environment, check=True)
    done = subprocess.run(build, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = dict(line.split() for line in (elsewhere / "runs").read_text().splitlines())
    assert [name for name, place in ran.items() if Path(place) == folder] == ["here"]
    assert all(Path(place).is_relative_to(os.environ["TMPDIR"]) for name, place in ran.items() if name != "here")
    assert [*ran] == ["first", "many", "part", "here"]
    assert Path("here").read_text() == "2\n3\n4\n"
    assert Path("whole").read_text() == "1\n1\n"
    # Of a folder a node gets no more than its stage reads.
    assert (elsewhere / "runs.seen").read_text() == "two\n"
    assert not any(Path(place).exists() for name, place in ran.items() if name != "here")
    again = subprocess.run([sys.executable, "-m", "dvc", "repro"], **how)
    assert "up to date" in again.stdout
    lock = Path("dvc.lock").read_bytes()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-f"], env=environment, check=True)
    assert Path("dvc.lock").read_bytes() == lock
