"""Files that nets, weights and commands share.

It says where they are, what they hold, and whether they may be written over. No torch, no numpy.
"""
