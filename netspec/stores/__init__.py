"""The databases, LMDB and LevelDB.

Their keys and values are read and written by their place, and damage in them is found. No torch.
"""
