"""A net as a Python file of its own, which imports torch alone."""
