"""Early stopping: when a training ends, which weights it leaves, and that a kill changes neither."""

import pytest

from stages.shared.stopping import Stopping
from tests.fakes.checkpoints import static_model
from tests.shared.fitting import Killed, equal, fitted, kill_at

pytestmark = pytest.mark.slow
# By step: 2, 4, ...
VALUES = [0.1, 0.3, 0.2, 0.3, 0.5, 0.5]


def stopped(training, name, patience=2, checkpoint_every=2):
    """A training that is measured as VALUES says; what `fitted` gives, what was measured, and the weights at each step
    that was."""
    model, seen = static_model(), {}

    def measure():
        seen[len(stopping.values)] = {n: p.detach().clone() for n, p in model.named_parameters()}
        return VALUES[len(stopping.values)]

    stopping = Stopping(model, measure, 2, patience)
    found = fitted(training, model, name, stopping=stopping, checkpoint_every=checkpoint_every)
    return *found, stopping, seen


def test_a_training_ends_when_it_gets_no_better_and_leaves_its_best_weights(training):
    points, weights, stopping, seen = stopped(training, "ended")
    assert stopping.values == {2: 0.1, 4: 0.3, 6: 0.2, 8: 0.3} and stopping.kept == 4
    assert [step for step, _ in points] == [2, 4, 6, 8]
    assert equal(weights, seen[1]) and not equal(weights, seen[3])
    told = training.curve(points, stopping).splitlines()
    assert told[0] == "step,loss,validation,kept"
    assert [line.split(",")[2:] for line in told[1:3]] == [["0.10000", "0"], ["0.30000", "1"]]
    _, weights, stopping, seen = stopped(training, "whole", patience=3)
    assert max(stopping.values) == 12 and stopping.kept == 10
    assert equal(weights, seen[4])


@pytest.mark.parametrize(("killed", "checkpoint_every"), [(5, 2), (7, 4), (None, 2)])
def test_one_that_was_killed_comes_to_the_same_end(training, monkeypatch, killed, checkpoint_every):
    """`None`: once it had ended, before its model was saved."""
    whole = stopped(training, "whole", checkpoint_every=checkpoint_every)
    with monkeypatch.context() as patch:
        if killed:
            kill_at(training, patch, killed)
            with pytest.raises(Killed):
                stopped(training, "killed", checkpoint_every=checkpoint_every)
        else:
            stopped(training, "killed", checkpoint_every=checkpoint_every)
    points, weights, stopping, seen = stopped(training, "killed", checkpoint_every=checkpoint_every)
    assert (points, stopping.values) == (whole[0], whole[2].values)
    assert equal(weights, whole[1])
    # It did go on from what it had.
    assert 0 not in seen
