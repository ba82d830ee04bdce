"""`python -m benchmarks` runs them all, `python -m benchmarks training` one.

The last thing that is printed is the table of all that was measured.
"""

import sys
from importlib import import_module

from benchmarks.side_by_side import table

NAMES = (
    "start_up",
    "large_nets",
    "training",
    "memory",
    "inference",
    "layers",
    "detection",
    "processes",
    "pycaffe",
    "feeding",
)

for name in sys.argv[1:] or NAMES:
    import_module(f"benchmarks.{name}").main()
print(table())
