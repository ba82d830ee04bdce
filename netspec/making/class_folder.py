"""A folder of classes, FOLDER/CLASS/IMAGE: which images there are, and the label of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics import NetspecError, counted, os_reason
from netspec.hint import did_you_mean
from netspec.readers.image_list import read_list


class ClassFolder(NamedTuple):
    """The classes of a folder in their names' order, its images in their paths' order."""

    path: str
    names: list[str]  # the place of a name is its label
    images: list[tuple[str, int]]  # path below the folder, label

    def names_file(self) -> bytes:
        """The names, a line each."""
        return "".join(f"{name}\n" for name in self.names).encode(errors="surrogateescape")


def read_class_folder(
    path: str | Path, names: list[str] | None = None, warn: Callable[[str], object] | None = None
) -> ClassFolder:
    """Each folder in the folder is a class, each file in it an image.

    What begins with a dot is passed over.

    Files beside the classes and folders within one are left out and told to `warn`.

    Args: names: the classes that there can be, in the order of their labels; without it those that
        there are.
    Raises: NetspecError where there is no class, a class is none of `names` or has no files, or the
        system refuses.
    """
    folder = str(path)
    classes, beside = _entries(folder)
    if not classes:
        raise NetspecError(
            f"'{folder}' has no folders, of which each would be a class", hint=_hint(folder, beside)
        )
    if beside and warn:
        warn(
            f"{folder}: left out {_files(beside)}, which {'lies' if len(beside) == 1 else 'lie'} "
            "in no class's folder"
        )
    found = ClassFolder(folder, names or classes, [])
    label_of = {name: label for label, name in enumerate(found.names)}
    for name in classes:
        if name not in label_of:
            raise NetspecError(
                f"the class '{name}' of '{folder}' is not among the labels",
                hint=did_you_mean(name, label_of),
            )
        found.images.extend(
            (f"{name}/{file}", label_of[name]) for file in _images(folder, name, warn)
        )
    return found


def read_names(path: str | Path) -> list[str]:
    """The names of labels, a line each.

    Raises: NetspecError where there is none or one comes twice.
    """
    names = [name.strip() for name in read_list(str(path))]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise NetspecError(f"'{path}' has the label '{name}' twice")
    return names


def _images(folder: str, name: str, warn: Callable[[str], object] | None) -> list[str]:
    """The files of a class."""
    if "\n" in name or "\r" in name:
        raise NetspecError(f"the name of the class {name!r} is no line of text")
    nested, files = _entries(os.path.join(folder, name))
    if not files:
        hint = (
            (
                f"'{nested[0]}' lies in it: are the classes one folder further down, "
                f"in '{os.path.join(folder, name)}'?"
            )
            if nested
            else None
        )
        raise NetspecError(
            f"the class '{name}' of '{folder}' has no images",
            hint=hint or "remove the folder, or put images into it",
        )
    if nested and warn:
        more = f" and {len(nested) - 1} more" if len(nested) > 1 else ""
        warn(
            f"{folder}: left out the folder '{name}/{nested[0]}'{more}: "
            "images lie in the folder of their class"
        )
    return files


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The names of the folders and of the files in a folder, in order; links are followed."""
    try:
        with os.scandir(folder) as entries:
            seen = [
                (entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")
            ]
    except (OSError, ValueError) as error:
        raise NetspecError(f"the folder '{folder}' can't be read: {os_reason(error)}") from None
    return sorted(name for name, is_folder in seen if is_folder), sorted(
        name for name, is_folder in seen if not is_folder
    )


def _files(names: list[str]) -> str:
    return (
        f"'{names[0]}'"
        if len(names) == 1
        else f"{counted(len(names), 'file')}, '{names[0]}' the first"
    )


def _hint(folder: str, files: list[str]) -> str:
    lists = [name for name in files if name.endswith(".txt")]
    if lists:
        return (
            "a list of images is named itself: netspec dataset build "
            f"{os.path.join(folder, lists[0])} OUT --root {folder}"
        )
    return f"an image of the class rose would be {os.path.join(folder, 'rose', 'x.jpg')}"
