"""What a training run writes down, and reading it again.

There are log files, TensorBoard files, tables and plots.
"""
