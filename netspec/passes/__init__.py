"""The passes, each a function of its file's name.

It takes a valid value and leaves a valid value.
"""
