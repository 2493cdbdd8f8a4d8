"""Names of labels, which may be hierarchical."""

# Between the parts of a hierarchical label: category/intent.
LABEL_SEPARATOR = "/"
