"""Vectors kept outside DVC's outputs: of many texts in order (blocks), of texts that change one by one (texts), and
what frozen layers make of texts (states)."""
