"""cluster: stages as tasks of a Ray cluster of several nodes, one of which is lost."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow
# Each begins with a line in `runs`; the first run of `lost@b` lasts until something ends it.
GRAPH = """
stages:
  first:
    cmd: echo first $$ >> runs; echo 1 > first
    outs: [first]
  lost:
    foreach: [a, b]
    do:
      cmd: sh lost.sh ${item}
      deps: [first]
      outs: ['${item}']
  last:
    cmd: echo last $$ >> runs; cat a b > last
    deps: [a, b]
    outs: [last]
"""
LOST = """
echo $1 $$ $OMP_NUM_THREADS >> runs
echo said by $1
if [ $1 = b ] && [ $(grep -c '^b ' runs) = 1 ]; then sleep 600; fi
echo $1 > $1
"""


@pytest.fixture
def cluster():
    """A cluster with a head that runs nothing, and two nodes of one processor."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made
    made.shutdown()


def test_a_stage_whose_node_is_lost_runs_again_and_no_other_does(cluster, repository):
    (repository.path / "dvc.yaml").write_text(GRAPH)
    (repository.path / "lost.sh").write_text(LOST)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True)
    command = [sys.executable, "-m", "tools.repro", "--ray-address", cluster.address]
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line == "lost@b | said by b\n" and len(cluster.nodes) == 2:
                [pid] = [int(run.split()[1]) for run in Path("runs").read_text().splitlines() if run[0] == "b"]
                above = {parent.pid for parent in psutil.Process(pid).parents()}
                [node] = [n for n in cluster.nodes if n.all_processes["raylet"][0].process.pid in above]
                cluster.nodes.remove(node)
                cluster.remove_node(node, allow_graceful=False)
    assert process.returncode == 0, said
    assert sorted(run.split()[0] for run in Path("runs").read_text().splitlines()) == ["a", "b", "b", "first", "last"]
    assert Path("last").read_text() == "a\nb\n"
    assert sum("what ran it is lost" in line for line in said) == 1
    assert not psutil.pid_exists(pid)
    again = subprocess.run([*command], env=environment, text=True, capture_output=True, check=True)
    assert "up to date" in again.stdout
