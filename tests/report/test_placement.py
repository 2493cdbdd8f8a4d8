"""Labels of a scatter plot."""

import math

from stages.report import charts, geometry, placement


def test_labels_of_a_crowd_do_not_overlap():
    points = [
        charts.Point(f"model-{i:02}", 70 + math.cos(i) * (i % 4), 60 + math.sin(i) * (i % 3), "recipe", False, i == 3)
        for i in range(15)
    ]
    drawn = charts.scatter(points)
    boxes = []
    for mark in drawn.marks:
        half = len(mark.label.text) * placement.LETTER / 2
        boxes.append(geometry.Box(mark.label.x - half, mark.label.y - 9, mark.label.x + half, mark.label.y + 2))
    shared = sum(box.covers(boxes[:i]) for i, box in enumerate(boxes))
    area = sum((b.right - b.left) * (b.bottom - b.top) for b in boxes)
    assert shared < 0.02 * area
    assert sum(b.outside(geometry.Box(0, 0, drawn.width, drawn.height)) for b in boxes) == 0
