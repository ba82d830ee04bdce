"""The databases, LMDB and LevelDB.

Their keys and values, read and written by their place, and what is damaged in them. No torch.
"""
