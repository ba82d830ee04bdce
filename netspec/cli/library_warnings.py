"""Shows the warnings of the libraries beneath (torch, Pillow, numpy).

Each becomes a line like netspec's own, without the library's source line.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Of interest to who writes a library, not to who runs a net.
_FOR_AUTHORS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)


@contextmanager
def library_warnings_told() -> Iterator[None]:
    """Within it a warning is a line `warning: …` on stderr, each once.

    Filters, also those of PYTHONWARNINGS, hold as before.
    """
    # read when torch is imported: its C++ code writes to stderr by itself
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    show, told = warnings.showwarning, set[str]()

    def tell(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        line = next(iter(str(message).strip().splitlines()), category.__name__)
        if not issubclass(category, _FOR_AUTHORS) and line not in told:
            told.add(line)
            over_live_line = "\r\x1b[K" if sys.stderr.isatty() else ""
            # at once: print writes the line's end apart, and another process between
            sys.stderr.write(f"{over_live_line}warning: {line}\n")
            sys.stderr.flush()

    warnings.showwarning = tell
    try:
        yield
    finally:
        warnings.showwarning = show
