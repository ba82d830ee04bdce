"""The passes, each a function of its file's name: it takes a valid value and leaves a valid value."""
