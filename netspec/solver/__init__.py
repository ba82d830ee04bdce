"""The solver file.

Reading and checking it, its nets, the learning rate, and what a run will come to. No torch.
"""
