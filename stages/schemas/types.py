"""What a schema is."""

from typing import Any

# The columns of a table, in order, and their types.
Schema = dict[str, Any]
