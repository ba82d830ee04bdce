"""Files that nets, weights and commands share.

Where they are, what they hold, whether they may be written over. No torch, no numpy.
"""
