"""Advice: rules for what is valid in a net or a solver but probably not intended. No torch.

A family of rules a file; each rule is a `Rule` with its page.
"""

from __future__ import annotations

from netspec.advice import blobs, data, fields, fillers, normalization, pooling, solver
from netspec.advice.rule import Rule

_FAMILIES = (fillers, normalization, blobs, pooling, data, solver, fields)
RULES: dict[str, Rule] = {rule.name: rule for family in _FAMILIES for rule in family.RULES}
