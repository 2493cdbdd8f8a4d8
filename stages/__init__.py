"""The stages of the graph: the stage `X` of `dvc.yaml` is `python -m stages.X`. Stages never import each other."""
