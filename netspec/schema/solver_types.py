"""The solver types: Caffe's update rules by name."""

from __future__ import annotations

# How many history blobs each keeps for a param.
HISTORIES = {"SGD": 1, "Nesterov": 1, "AdaGrad": 1, "RMSProp": 1, "AdaDelta": 2, "Adam": 2}
# Whose update is one kernel of torch's, which makes no copies (pytorch/fused_updates.py).
FUSED = frozenset({"SGD", "Nesterov", "AdaGrad", "Adam"})
# How many copies of what it updates at a time each makes otherwise (pytorch/updates.py).
SCRATCH = {"AdaGrad": 1, "RMSProp": 1, "AdaDelta": 3, "Adam": 1}
SOLVER_TYPES = tuple(HISTORIES)
# the enum `solver_type` of older files → the type of today
OLD_SOLVER_TYPES = {name.upper(): name for name in HISTORIES}
