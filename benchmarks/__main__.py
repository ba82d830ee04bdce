"""`python -m benchmarks` runs them all, `python -m benchmarks start_up` one."""

import sys
from importlib import import_module

NAMES = ("start_up", "large_nets", "train_step", "layers", "detection", "processes", "pycaffe")

for name in sys.argv[1:] or NAMES:
    import_module(f"benchmarks.{name}").main()
