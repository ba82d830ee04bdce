"""The reading of training data: record sources, the transformer, and what a net's data layers feed. Torch-free."""
