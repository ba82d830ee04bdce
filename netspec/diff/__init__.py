"""What differs between two nets, two solvers or two files of weights.

No torch; numpy only for weights.
"""
