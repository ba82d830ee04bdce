"""What tools/classify.py does: the scores of pictures into an .npy.

Source: caffe/python/classify.py.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from netspec.atomic import write_atomically
from netspec.cli.pictures import print_assumptions
from netspec.cli.terminal import show
from netspec.cli.tool import load_classifier
from netspec.diagnostics import NetspecError, os_reason
from netspec.files.overwrite import require_own_kind
from netspec.graph import shape_text
from netspec.read_file import GIB, read_file
from netspec.readers.picture_list import picture_paths

_NUMPY = "a NumPy file"


def save_scores(args: argparse.Namespace) -> int:
    """Writes the scores; nothing where a picture can't be read. Raises: NetspecError."""
    require_own_kind(args.output_file, _NUMPY, overwrite=args.overwrite)
    size = {"new_size": args.images_dim}
    net = load_classifier(args, said=size, oversample=not args.center_only)
    print_assumptions(net.assumed)
    pictures = _pictures(args.input_file, args.ext, net.pictures.plan.channels)
    rows, failed = [], False
    for seen in net.pictures.see(pictures, net.scores):
        if seen.fault is not None:
            failed = True
            show(seen.fault.diagnostics)
        else:
            rows.append(np.mean(seen.items, axis=0))
    if failed:
        raise NetspecError(f"'{args.output_file}' is not written: it would lack rows")
    file = io.BytesIO()
    np.save(file, np.stack(rows))
    write_atomically(args.output_file, file.getvalue())
    print(f"Saving results into {args.output_file}")
    return 0


def _pictures(path: str, suffix: str, channels: int) -> Iterable[Any]:
    if path.endswith(".npy"):
        return _arrays(path, channels)
    if os.path.isdir(path):
        return list(picture_paths([path], ["." + suffix.lstrip(".")]))
    return [path]


def _arrays(path: str, channels: int) -> list[np.ndarray]:
    """The pictures of an .npy. Shapes: (N, H, W, 3) or (H, W, 3) to (C, H, W) each.

    Raises: NetspecError.
    """
    try:
        raw = read_file(path, 4 * GIB, "an array of pictures")
        values = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise NetspecError(f"'{path}' can't be read: {os_reason(error)}") from None
    values = values[None] if values.ndim == 3 else values
    if values.ndim != 4 or values.shape[3] != channels or not values.size:
        wanted = f"N×H×W×{channels}"
        raise NetspecError(f"'{path}' is {shape_text(values.shape)}, expected {wanted}")
    if values.dtype != np.uint8:
        if (
            values.dtype.kind != "f"
            or not np.isfinite(values).all()
            or not (values.min() >= 0 and values.max() <= 1)
        ):
            raise NetspecError(f"'{path}' has values that are not from 0 to 1")
        values = np.rint(values * 255).astype(np.uint8)
    return [np.ascontiguousarray(each.transpose(2, 0, 1)[::-1]) for each in values]
