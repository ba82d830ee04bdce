"""What tools/detect.py does: the scores of windows of pictures into HDF5 or CSV.

Source: caffe/python/detect.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from netspec.atomic import write_atomically
from netspec.cli.pictures import print_assumptions
from netspec.cli.tool import load_classifier
from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.paths import resolve_path
from netspec.read_file import GIB, read_file, unreadable
from netspec.readers.images import read_image
from netspec.readers.window_item import window_item

COLUMNS = ("ymin", "xmin", "ymax", "xmax")  # of the output, as in Caffe
_MOST = 256  # windows of a picture that are held at once


class Window(NamedTuple):
    """A line of the list: a picture and where to look in it."""

    path: str
    xmin: int
    ymin: int
    xmax: int
    ymax: int


def save_window_scores(args: argparse.Namespace) -> int:
    """Writes the scores of each window; nothing where one can't be read. Raises: NetspecError."""
    suffix = os.path.splitext(args.output_file)[1].lower()
    if suffix not in (".csv", ".h5"):
        raise NetspecError(f"'{args.output_file}' is neither .csv nor .h5")
    if os.path.exists(args.output_file) and not args.overwrite:
        message = f"'{args.output_file}' already exists"
        raise NetspecError(message, None, "--overwrite writes over it")
    if args.crop_mode != "list":
        hint = "--crop_mode list reads windows from a .csv"
        raise NetspecError("selective search is a program for MATLAB that is not here", None, hint)
    windows = read_window_list(args.input_file)
    net = load_classifier(args)
    print_assumptions(line for line in net.assumed if not line.startswith("pictures are resized"))
    scores = np.stack(list(_scores(net, windows, args.context_pad, args.input_file)))
    content = _csv(windows, scores) if suffix == ".csv" else _hdf5(windows, scores)
    write_atomically(args.output_file, content)
    print(f"{args.output_file}: {len(windows)} windows")
    return 0


def _scores(
    net: Any, windows: list[Window], context_pad: int, named_in: str
) -> Iterator[np.ndarray]:
    plan = net.pictures.plan
    for path, group in groupby(windows, key=lambda window: window.path):
        pixels = read_image(resolve_path(path, named_in), plan.channels == 3)
        own = list(group)
        for first in range(0, len(own), _MOST):
            items = []
            for window in own[first : first + _MOST]:
                try:
                    items.append(window_item(plan, pixels, list(window[1:]), context_pad))
                except NetspecError as error:
                    raise error.restated(f"'{path}': ") from None
            yield from net.pictures.run_items(np.stack(items), net.scores)


def read_window_list(path: str) -> list[Window]:
    """The windows of a CSV with the columns filename, xmin, ymin, xmax, ymax.

    Raises: NetspecError.
    """
    try:
        text = read_file(path, GIB, "a list").decode(errors="surrogateescape")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    table = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in Window._fields[1:] if name not in (table.fieldnames or ())]
    if missing or "filename" not in (table.fieldnames or ()):
        message = f"the first line of '{path}' lacks the columns filename,xmin,ymin,xmax,ymax"
        raise NetspecError(message)
    windows = []
    try:
        for row in table:
            edges = [_whole(row[name], path, table.line_num) for name in Window._fields[1:]]
            windows.append(Window(row["filename"], *edges))
    except csv.Error as error:
        raise NetspecError(f"line {table.line_num} of '{path}': {error}") from None
    if not windows:
        raise NetspecError(f"the list '{path}' has no windows")
    return windows


def _whole(text: str | None, path: str, line: int) -> int:
    try:
        value = float(text or "")
        if not abs(value) < 2**31:
            raise ValueError
    except ValueError:
        message = f"line {line} of '{path}' has '{text or ''}' for a pixel"
        raise NetspecError(message) from None
    return int(value)


def _csv(windows: list[Window], scores: np.ndarray) -> bytes:
    file = io.StringIO(newline="")
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["filename", *COLUMNS, *(f"class{i}" for i in range(scores.shape[1]))])
    for window, row in zip(windows, scores.tolist(), strict=True):
        table.writerow([window.path, *(getattr(window, name) for name in COLUMNS), *row])
    return file.getvalue().encode(errors="surrogateescape")


def _hdf5(windows: list[Window], scores: np.ndarray) -> bytes:
    """Datasets filename, windows and prediction; Caffe's file is a pickled table of pandas'."""
    try:
        import h5py
    except ImportError:
        raise missing_package("h5py", "an HDF5 file") from None
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        names = [
            window.path.encode(errors="surrogateescape").decode(errors="backslashreplace")
            for window in windows
        ]
        opened.create_dataset("filename", data=np.array(names, object), dtype=h5py.string_dtype())
        corners = [[getattr(window, name) for name in COLUMNS] for window in windows]
        opened.create_dataset("windows", data=np.array(corners, np.int64))
        opened["windows"].attrs["columns"] = ",".join(COLUMNS)
        opened.create_dataset("prediction", data=scores)
    return file.getvalue()
