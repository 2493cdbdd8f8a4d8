"""Boxes and axes."""

from stages.report import geometry


def test_boxes_measure_what_they_cover():
    box = geometry.Box(0, 0, 10, 10)
    assert box.covers([geometry.Box(5, 5, 20, 8), geometry.Box(10, 0, 12, 5), geometry.Box(-5, -5, 1, 2)]) == 15 + 0 + 2
    assert box.outside(geometry.Box(0, 0, 4, 20)) == 60


def test_axes():
    axis = geometry.Axis(0.0, 10.0, 100.0, 300.0)
    assert axis.at(5.0) == 200.0
    assert axis.ticks(5) == [geometry.Tick(100.0 + 40 * i, str(2 * i)) for i in range(6)]
    assert [t.text for t in geometry.Axis(0.1, 0.4, 0, 1).ticks(3)] == ["0.1", "0.2", "0.3", "0.4"]
    same = geometry.axis([5.0, 5.0], 0, 100)
    assert same.low < 5 < same.high
