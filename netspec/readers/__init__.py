"""The readers of the data layers.

They lead from a database, a list or a file to the batches that a net is fed. numpy, no torch.
"""
