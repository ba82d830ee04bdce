"""Annotations in the form of Pascal VOC: an XML file an image.

Source: the VOC development kit; weiliu89/caffe, branch ssd, ReadXMLToAnnotatedDatum.
"""

from __future__ import annotations

import os
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.paths import resolve_path
from netspec.files.whole_number import whole_number
from netspec.making.annotated_image import AnnotatedImage, Object, Warn
from netspec.read_file import read_file, unreadable
from netspec.readers.image_list import read_list

_MAX_BYTES = 16 << 20  # of an annotation
_MAX_DEPTH = 64  # of elements in one another
_FOLDERS = "Annotations", "JPEGImages", os.path.join("ImageSets", "Main")
_EDGES = "xmin", "ymin", "xmax", "ymax"


def read_voc(source: str, split: str, root: str, warn: Warn) -> list[AnnotatedImage]:
    """The images of a VOC folder, or of a list of 'image annotation' a line, with their objects.

    What can't be read as an annotation is left out and told to `warn`.

    Args:
        root: before the paths of a list, which else count from the working directory and from the
            list's folder.
        split: of a folder, the name of a list in ImageSets/Main or the path of one, an image's
        name a line; '' takes every annotation.
    Raises: NetspecError where there is no such folder or list.
    """
    pairs = _of_folder(source, split) if os.path.isdir(source) else _of_list(source, split, root)
    found = []
    for image, annotation in pairs:
        try:
            tree = parse_xml(annotation)
            found.append(AnnotatedImage(image, annotation, _objects(tree), _size(tree)))
        except NetspecError as error:
            warn(f"left out '{image}': {error.diagnostics[0].message}")
    return found


def _of_folder(folder: str, split: str) -> list[tuple[str, str]]:
    """The paths of images and annotations."""
    annotations, images, sets = (os.path.join(folder, part) for part in _FOLDERS)
    if not os.path.isdir(annotations):
        raise NetspecError(
            f"'{folder}' has no folder Annotations, in which VOC's XML files are",
            hint="name the folder that has Annotations and JPEGImages, such as VOCdevkit/VOC2007",
        )
    if split:
        own = os.path.join(sets, f"{split}.txt")
        # a list of one class has a second word, whether the class is there
        lines = read_list(own if os.path.isfile(own) else split)
        names = [line.split()[0] for line in lines if line.strip()]
    else:
        try:
            files = os.listdir(annotations)
        except OSError as error:
            raise unreadable(annotations, error) from None
        names = sorted(name[:-4] for name in files if name.endswith(".xml"))
        if not names:
            raise NetspecError(f"'{annotations}' has no XML files")
    return [
        (os.path.join(images, f"{name}.jpg"), os.path.join(annotations, f"{name}.xml"))
        for name in names
    ]


def _of_list(path: str, split: str, root: str) -> list[tuple[str, str]]:
    if split:
        raise NetspecError(
            f"--split is for a VOC folder, but '{path}' is a list",
            hint="the list alone says which images there are",
        )
    pairs = []
    for i, line in enumerate(read_list(path)):
        words = line.split()
        if len(words) != 2:
            raise NetspecError(
                f"{path}:{i + 1}: expected the paths of an image and of its annotation, "
                f"got '{line.strip()[:80]}'"
            )
        image, annotation = (resolve_path(os.path.join(root, word), path) for word in words)
        pairs.append((image, annotation))
    return pairs


def parse_xml(path: str) -> Element:
    """The root of an XML file.

    Raises: NetspecError where it can't be read, is no XML, or has a document type, which could
        make entities of any size.
    """
    try:
        text = read_file(path, _MAX_BYTES, "an annotation")
    except (OSError, ValueError) as error:
        raise NetspecError(f"the annotation '{path}' can't be read: {os_reason(error)}") from None
    builder, depth = TreeBuilder(), 0

    def refuse(*_: object) -> NoReturn:
        raise NetspecError(f"the annotation '{path}' has a document type, which is not read")

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise NetspecError(f"the annotation '{path}' is nested deeper than {_MAX_DEPTH}")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(text, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError) as error:  # an unknown encoding, too
        raise NetspecError(f"the annotation '{path}' is no XML: {error}") from None


def _objects(root: Element) -> list[Object]:
    """Raises: NetspecError where an object lacks its name or its box."""
    found = []
    for number, each in enumerate(root.findall("object"), 1):
        name = (each.findtext("name") or "").strip()
        if not name:
            raise NetspecError(f"its object {number} has no name")
        what = f"its object {number}, '{name}',"
        xmin, ymin, xmax, ymax = (_edge(each, edge, what) for edge in _EDGES)
        difficult = (each.findtext("difficult") or "").strip() == "1"
        found.append(Object(name, xmin, ymin, xmax, ymax, difficult))
    return found


def _edge(each: Element, edge: str, what: str) -> float:
    text = (each.findtext(f"bndbox/{edge}") or "").strip()
    try:
        return float(text)
    except ValueError:
        raise NetspecError(f"{what} has the {edge} '{text[:40]}', expected a number") from None


def _size(root: Element) -> tuple[int, int] | None:
    words = [(root.findtext(f"size/{side}") or "").strip() for side in ("height", "width")]
    if not all(word.isascii() and word.isdecimal() for word in words):
        return None
    height, width = map(whole_number, words)
    return (height, width) if height and width else None
