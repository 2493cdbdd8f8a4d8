"""What people run beside the graph: `python -m tools.X`. No stage depends on any of it."""
