"""Charts: where points and lines are drawn."""

from stages.report import charts


def test_what_is_calibrated_lies_on_the_diagonal():
    drawn = charts.reliability([(0.0, 0.0), (1.0, 1.0), (0.5, 0.25)])
    left, top, right, bottom = drawn.frame
    assert drawn.places[:2] == [(left, bottom), (right, top)] and right - left == bottom - top
    assert drawn.places[2] == ((left + right) / 2, bottom - (bottom - top) / 4)
    assert charts.reliability([]) is None


def test_the_front_is_drawn_as_stairs():
    points = [charts.Point("a", 1, 3, "recipe", True, False), charts.Point("b", 2, 1, "merge", True, False)]
    drawn = charts.scatter(points)
    (ax, ay), (bx, by) = ((m.x, m.y) for m in drawn.marks)
    left, bottom = drawn.frame.left, drawn.frame.bottom
    assert drawn.front == " ".join(f"{x:g},{y:g}" for x, y in [(left, ay), (ax, ay), (ax, by), (bx, by), (bx, bottom)])
