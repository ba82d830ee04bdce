"""Annotations in the form of COCO: one JSON file for all images.

Source: COCO's data format; weiliu89/caffe, branch ssd, ReadJSONToAnnotatedDatum.
"""

from __future__ import annotations

import json
import os
from typing import Any

from netspec.diagnostics import NetspecError
from netspec.making.annotated_image import AnnotatedImage, Object, Warn
from netspec.read_file import GIB, read_file, unreadable


def read_coco(
    path: str, root: str, warn: Warn
) -> tuple[list[AnnotatedImage], list[tuple[str, str]]]:
    """The images of an instances file with their objects, and the id and name of each category.

    An object's name is its category's id as a text, as in the fork's label map. A crowd is
    difficult. An annotation without a box is told to `warn`.
    Args: root: the folder of the images.
    Raises: NetspecError where the file is not of that form.
    """
    try:
        content = json.loads(read_file(path, 2 * GIB - 1, "an annotation file"))
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from None
    except (ValueError, RecursionError) as error:
        raise NetspecError(f"'{path}' is no JSON: {error}") from None
    images = {each["id"]: each for each in _list(content, "images", path, ("id", "file_name"))}
    names = _list(content, "categories", path, ("id", "name"))
    categories = [(str(each["id"]), str(each["name"])) for each in sorted(names, key=_id)]
    known = {name for name, _ in categories}
    objects: dict[Any, list[Object]] = {number: [] for number in images}
    needed = ("image_id", "category_id")
    for place, each in enumerate(_list(content, "annotations", path, needed)):
        where = f"{path}: annotation {place} (from 0)"
        name = str(each["category_id"])
        if each["image_id"] not in objects:
            warn(f"{where} is of the image {each['image_id']}, which the file does not have")
        elif name not in known:
            raise NetspecError(f"{where} has the category {name}, which the file does not have")
        else:
            box = _box(each.get("bbox"))
            if box is None:
                warn(f"{where} has no box of four numbers, x y width height: left out")
                continue
            x, y, width, height = box
            difficult = bool(each.get("iscrowd"))
            objects[each["image_id"]].append(Object(name, x, y, x + width, y + height, difficult))
    found = [
        AnnotatedImage(
            os.path.join(root, str(each["file_name"])),
            f"{path}: image {number}",
            objects[number],
            _size(each),
        )
        for number, each in images.items()
    ]
    return found, categories


def _list(content: Any, name: str, path: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """A list of objects that have some keys. Raises: NetspecError."""
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise NetspecError(
            f"'{path}' has no list '{name}', as COCO's files of instances have",
            hint="instances_train2017.json is such a file",
        )
    for place, each in enumerate(found):
        missing = [key for key in needed if not _has(each, key)]
        if missing:
            raise NetspecError(
                f"'{path}': entry {place} (from 0) of '{name}' has no '{missing[0]}'"
            )
    return found


def _has(each: Any, key: str) -> bool:
    return isinstance(each, dict) and isinstance(each.get(key), (int, str))


def _id(each: dict[str, Any]) -> tuple[bool, Any]:
    return isinstance(each["id"], str), each["id"]


def _box(value: Any) -> list[float] | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    fits = all(isinstance(edge, (int, float)) and abs(edge) < 1e9 for edge in value)
    return [float(edge) for edge in value] if fits else None


def _size(each: dict[str, Any]) -> tuple[int, int] | None:
    height, width = each.get("height"), each.get("width")
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None
