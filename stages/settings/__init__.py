"""What `params.yaml` may say: a file for each of its groups, under the group's name."""
