"""The readers of the data layers.

From a database, a list or a file to the batches that a net is fed. numpy, no torch.
"""
