"""Vectors kept outside DVC's outputs: of many texts in order (blocks), and of texts that change one by one (texts)."""
