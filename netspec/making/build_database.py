"""A list of images, or a folder of classes, to an LMDB of Datums.

Source: Caffe's convert_imageset and ReadImageToDatum of util/io.cpp.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics import NetspecError
from netspec.files.paths import resolve_path
from netspec.graph import shape_text
from netspec.making.class_folder import ClassFolder
from netspec.making.encode_datum import FORMATS, encode_image, encoded_datum, raw_datum
from netspec.readers.image_list import read_list, split_line
from netspec.readers.images import decode, read_image_file, resize
from netspec.stores.lmdb_writer import NAMES_FILE, LmdbWriter

_ROOT_HINT = (
    "paths count from the working directory, then from the list's folder; "
    "--root FOLDER names another"
)
_AT_ONCE = 64  # images that are read side by side; they are put in the list's order


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """convert_imageset's flags."""

    root: str = ""  # before each path of the list
    gray: bool = False
    shuffle: bool = False
    seed: int = 0  # of the shuffle; Caffe shuffles differently in each run
    resize_width: int = 0  # both, or neither has an effect
    resize_height: int = 0
    check_size: bool = False
    encoded: bool = False
    encode_type: str = ""  # implies encoded


class Line(NamedTuple):
    """An image to store."""

    path: str
    label: int
    where: str  # list:line, the folder of classes, or the annotation


class Made(NamedTuple):
    """A Datum's bytes, the (C, H, W) of its image, and the height and width before a resize."""

    value: bytes
    shape: tuple[int, ...]
    original_size: tuple[int, int]


def build_database(
    source: str | Path | ClassFolder,
    out: str | Path,
    options: BuildOptions | None = None,
    warn: Callable[[str], object] | None = None,
    progress: Callable[[int, int], object] | None = None,
    replace_old: bool = False,
    note: Callable[[str], object] | None = None,
) -> int:
    """Writes the images of a list ("path label" a line) to a new LMDB.

    The key is the line's number, then the path.

    Those of a folder of classes are numbered in the order of their paths, and the names of the
    classes are put beside the records, in labels.txt. An image that can't be read is left out and
    told to `warn`; that sizes differ, to `note`. With `replace_old` an LMDB that exists is replaced
    when the new one is whole. Returns the number of records.

    Raises: NetspecError where the list has a line that is none, no image (or none of a class) can
        be read, sizes differ under check_size, or
    the LMDB already exists or can't be written. Nothing stands under its name then.
    """
    options = options or BuildOptions()
    check_encoding(options)
    place, lines = _lines(source, note)
    if isinstance(source, ClassFolder):
        options = replace(options, root=os.path.join(source.path, ""))
    if options.shuffle:
        random.Random(options.seed).shuffle(lines)
    first: tuple[Line, tuple[int, ...]] | None = None
    stored: set[int] = set()
    shapes: set[tuple[int, ...]] = set()
    with LmdbWriter(out, replace_old) as writer:
        for i, (line, made) in enumerate(made_records(lines, place, options)):
            if isinstance(made, NetspecError):
                if warn:
                    warn(f"{line.where}: left out '{line.path}': {made.diagnostics[0].message}")
                continue
            value, shape = made.value, made.shape
            stored.add(line.label)
            first = first or (line, shape)
            shapes.add(shape)
            if options.check_size and shape != first[1]:
                raise NetspecError(
                    f"{line.where}: '{line.path}' is {shape_text(shape)}, but '{first[0].path}' "
                    f"is {shape_text(first[1])}"
                )
            writer.put(f"{i:08d}_{line.path}".encode(errors="surrogateescape"), value)
            if progress:
                progress(i + 1, len(lines))
        if not writer.count:
            hint = "" if isinstance(source, ClassFolder) else _ROOT_HINT
            raise NetspecError(
                f"none of the {len(lines):,} images of '{place}' could be read", hint=hint or None
            )
        if isinstance(source, ClassFolder):
            lost = {line.label for line in lines} - stored
            if lost:
                raise NetspecError(
                    "none of the images of the class "
                    f"'{source.names[min(lost)]}' of '{place}' could be read"
                )
            writer.put_file(NAMES_FILE, source.names_file())
    if note and len(shapes) > 1:
        note(
            f"the images have {len(shapes):,} sizes, a batch takes one: --resize-width and "
            "--resize-height make them alike, or crop_size in the net"
        )
    return writer.count


def check_encoding(options: BuildOptions) -> None:
    """Raises NetspecError for an image format that there is not."""
    if options.encode_type and options.encode_type.lower() not in FORMATS:
        raise NetspecError(
            f"'{options.encode_type}' is not an image format to encode to",
            hint=f"these are: {', '.join(FORMATS)}",
        )


def made_records(
    lines: list[Line], list_path: str, options: BuildOptions
) -> Iterator[tuple[Line, Made | NetspecError]]:
    """Each line with its record's bytes and the image's shape, or with the image's fault."""

    def make(line: Line) -> Made | NetspecError:
        try:
            return _record(line, list_path, options)
        except NetspecError as error:
            return error

    # Pillow decodes outside the interpreter's lock
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(lines), _AT_ONCE):
            chunk = lines[start : start + _AT_ONCE]
            yield from zip(chunk, pool.map(make, chunk), strict=True)


def _record(line: Line, list_path: str, options: BuildOptions) -> Made:
    raw = read_image_file(resolve_path(_under(options.root, line.path), list_path))
    image = decode(raw, not options.gray)
    size = image.shape[1], image.shape[2]
    if options.resize_height and options.resize_width:
        image = resize(image, options.resize_height, options.resize_width)
    kind = _encoding(line, options)
    if not kind:
        return Made(raw_datum(image, line.label), image.shape, size)
    if not (options.resize_height or options.resize_width) and _extension(line.path).replace(
        "jpeg", "jpg"
    ) == kind.replace("jpeg", "jpg"):
        # The file as it is, as Caffe does. With --gray, too: such a record keeps its colours.
        return Made(encoded_datum(raw, line.label), image.shape, size)
    return Made(encoded_datum(encode_image(image, kind), line.label), image.shape, size)


def _encoding(line: Line, options: BuildOptions) -> str:
    """The format to encode to.

    It is the one asked for, or that of the file's name, or '' where values are kept as they are.
    """
    if options.encode_type:
        return options.encode_type.lower()
    if not options.encoded:
        return ""
    extension = _extension(line.path)
    if extension not in FORMATS:
        raise NetspecError(
            "its name does not say in which format to encode it; --encode_type png would"
        )
    return extension


def _extension(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _under(root: str, path: str) -> str:
    # Caffe joins the two as they are, and wants the slash at the folder's end
    return os.path.join(root, path) if os.path.isdir(root) else root + path


def _lines(
    source: str | Path | ClassFolder, note: Callable[[str], object] | None
) -> tuple[str, list[Line]]:
    """The name of a source in messages, and its images."""
    if isinstance(source, ClassFolder):
        return source.path, [Line(path, label, source.path) for path, label in source.images]
    return str(source), _read_list(str(source), note)


def _read_list(path: str, note: Callable[[str], object] | None) -> list[Line]:
    lines = []
    texts = read_list(path)
    bare = [i + 1 for i, text in enumerate(texts) if " " not in text]
    if note and bare:
        note(
            f"{path}:{bare[0]}: no label behind the path: label 0 is stored, "
            f"as in Caffe ({len(bare):,} of {len(texts):,} lines)"
        )
    for i, text in enumerate(texts):
        name, label = split_line(text, i, path)
        lines.append(Line(name, label, f"{path}:{i + 1}"))
    return lines
