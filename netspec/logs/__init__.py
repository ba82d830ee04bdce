"""What a training run writes down, and reading it again: log files, TensorBoard, tables and plots."""
