"""Images with boxes, from Pascal VOC's or COCO's annotations, to an LMDB of AnnotatedDatums.

Source: weiliu89/caffe, branch ssd, tools/convert_annoset.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.hint import did_you_mean
from netspec.making.annotated_datum import LABEL_MAP_FILE, annotated_datum, label_map
from netspec.making.annotated_image import AnnotatedImage, Warn, boxes_of
from netspec.making.build_database import BuildOptions, Line, check_encoding, made_records
from netspec.making.coco import read_coco
from netspec.making.label_map import labels_of, read_label_map
from netspec.making.voc import read_voc
from netspec.stores.lmdb_writer import LmdbWriter


class Built(NamedTuple):
    """What a build has written."""

    images: int
    boxes: int
    classes: list[str]  # display names, from label 1 on


def build_annotated(
    form: str,
    source: str | Path,
    out: str | Path,
    options: BuildOptions,
    warn: Warn,
    split: str = "",
    labels: str = "",
    progress: Callable[[int, int], object] | None = None,
    replace_old: bool = False,
) -> Built:
    """Writes annotated images to a new LMDB, and the names of the labels beside its records.

    The key is the image's number, then its path. An image that can't be read and a box that has no
    area are left out and reported to `warn`.

    Args:
        form: voc or coco.
        source: VOC's folder or a list of 'image annotation'; COCO's JSON file of instances.
        options: `root` is the folder of COCO's images.
        split: of a VOC folder, the name or the path of the list of images to take.
        labels: the path of a LabelMap to use; '' labels the classes 1, 2, … in the order of their
            names (VOC) or ids (COCO).
    Raises: NetspecError where nothing can be read, a class is not in the label map, sizes differ
        under check_size, or the LMDB already exists or can't be written.
    """
    check_encoding(options)
    images, names = _read(form, str(source), split, options.root, warn)
    if not images:
        raise NetspecError(f"none of the annotations of '{source}' could be read")
    mapped = read_label_map(labels) if labels else label_map(names)
    label_of, names_of = labels_of(mapped, labels)
    shown = [names_of[label] for label in sorted(names_of) if label > 0]
    _check_names(images, label_of, labels)
    if options.shuffle:
        random.Random(options.seed).shuffle(images)
    options = replace(options, root="")  # which the images' paths have
    lines = [Line(image.path, -1, image.where) for image in images]
    count, first = 0, None
    with LmdbWriter(out, replace_old) as writer:
        for i, (line, made) in enumerate(made_records(lines, str(source), options)):
            if isinstance(made, NetspecError):
                warn(f"{line.where}: left out '{line.path}': {made.diagnostics[0].message}")
                continue
            first = first or (line, made.shape)
            if options.check_size and made.shape != first[1]:
                raise NetspecError(
                    f"{line.where}: '{line.path}' is {shape_text(made.shape)}, but "
                    f"'{first[0].path}' is {shape_text(first[1])}"
                )
            boxes = boxes_of(images[i], made.original_size, label_of, warn)
            count += len(boxes)
            value = annotated_datum(made.value, made.shape, boxes)
            name = "/".join(Path(line.path).parts[-3:])
            writer.put(f"{i:08d}_{name}".encode(errors="surrogateescape"), value)
            if progress:
                progress(i + 1, len(lines))
        if not writer.count:
            raise NetspecError(
                f"none of the {len(lines):,} images of '{source}' could be read",
                hint="--root FOLDER names the folder of COCO's images" if form == "coco" else None,
            )
        writer.put_file(LABEL_MAP_FILE, mapped)
    return Built(writer.count, count, shown)


def _read(
    form: str, source: str, split: str, root: str, warn: Warn
) -> tuple[list[AnnotatedImage], list[tuple[str, str]]]:
    """The images, and the names and display names of the classes in the order of their labels."""
    if form == "coco":
        if split:
            raise NetspecError(
                "--split is for a VOC folder; of COCO each JSON file is a split of its own"
            )
        return read_coco(source, root, warn)
    images = read_voc(source, split, root, warn)
    names = sorted({each.name for image in images for each in image.objects})
    return images, [(name, name) for name in names]


def _check_names(images: list[AnnotatedImage], label_of: dict[str, int], path: str) -> None:
    for image in images:
        for each in image.objects:
            if each.name not in label_of:
                raise NetspecError(
                    f"{image.where}: the class '{each.name}' is not in '{path}'",
                    hint=did_you_mean(each.name, label_of),
                )
