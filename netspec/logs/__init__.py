"""What a training run writes down, and reading it again.

Log files, TensorBoard, tables and plots.
"""
