"""Names of labels, which may be hierarchical."""

# Between the parts of a hierarchical label: category/intent.
LABEL_SEPARATOR = "/"
# The label of a question that no entry fits.
NO_LABEL = ""
