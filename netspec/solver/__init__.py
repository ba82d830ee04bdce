"""The solver file: reading and checking it, its nets, the learning rate, and what a run will come to. No torch."""
