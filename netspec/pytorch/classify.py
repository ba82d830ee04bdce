"""`netspec.classify`: the classes that a trained net sees in pictures.

Source: caffe/python/caffe/classifier.py, examples/cpp_classification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, counted
from netspec.graph import Net, shape_text
from netspec.pytorch.picture_net import Outputs, Picture, PictureNet, Seen
from netspec.readers.image_list import read_list


@dataclass(frozen=True, slots=True)
class Guess:
    """A class that a net sees: its number, its name where there are labels, its score."""

    index: int
    label: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Classified:
    """The classes of a picture, the most likely first; or what is wrong with the picture."""

    name: str
    guesses: tuple[Guess, ...]
    fault: NetspecError | None = None

    def rows(self) -> list[dict[str, Any]]:
        """The classes as JSON has them."""
        return [
            {"class": guess.index, "label": guess.label, "score": guess.score}
            for guess in self.guesses
        ]


class Classifier:
    """A net that gives a score for each class.

    Args:
        path, weights, options: those of PictureNet.
        labels: a file with a name a line, in the order of the classes, or the names.
        output: the blob with the scores, where the net has several outputs.

    Raises: NetspecError.
    """

    def __init__(
        self,
        path: str | Path,
        weights: str | Path | Iterable[str | Path],
        labels: str | Path | Iterable[str] | None = None,
        output: str | None = None,
        **options: Any,
    ) -> None:
        self.pictures = PictureNet(path, weights, [output] if output else None, **options)
        net = self.pictures.net
        self.output = output or _score_output(net)
        self.classes = _class_count(net, self.output)
        self.assumed = list(self.pictures.plan.assumed)
        producer = net.blob(self.output).producer
        if producer.type not in ("Softmax", "Sigmoid"):
            self.assumed.append(
                f"scores are the values of '{self.output}', no probabilities: it is the top of "
                f"a layer of type {producer.type}"
            )
        self.labels = None if labels is None else _labels(labels, self.classes)

    def scores(self, outputs: Outputs, items: int) -> list[NDArray[np.float32]]:
        """The scores of each item of a batch."""
        return list(outputs[self.output][:items].reshape(items, self.classes))

    def guesses(self, seen: Seen, top: int = 5) -> Classified:
        """The likeliest classes of a picture that has run through the net; crops are averaged."""
        if seen.fault is not None:
            return Classified(seen.name, (), seen.fault)
        scores = np.mean(seen.items, axis=0)
        if not np.isfinite(scores).all():
            fault = NetspecError(f"'{seen.name}': the net's scores are non-finite")
            return Classified(seen.name, (), fault)
        best = np.argsort(-scores, kind="stable")[:top]  # of equal ones the first, as in Caffe
        names = self.labels
        return Classified(
            seen.name,
            tuple(Guess(int(i), names[i] if names else None, float(scores[i])) for i in best),
        )

    def classify(self, pictures: Iterable[Picture], top: int = 5) -> Iterator[Classified]:
        """The classes of pictures, in their order; one that can't be read has its fault."""
        return (self.guesses(seen, top) for seen in self.pictures.see(pictures, self.scores))


def classify(
    pictures: Picture | Iterable[Picture],
    path: str | Path,
    weights: str | Path | Iterable[str | Path],
    labels: str | Path | Iterable[str] | None = None,
    top: int = 5,
    **options: Any,
) -> list[Classified]:
    """The classes that a trained deploy net sees in pictures.

    What is done to pictures before the net reads them is said by the net's file in a comment
    (`# netspec: preprocess { … }`, which `netspec deploy` writes), or by `said`.

    Args:
        pictures: paths, the bytes of files, or pixels (uint8, C×H×W, in the order B, G, R); one or
            several.
        path: the deploy net.
        weights: one or more files of weights.
        labels: a file with a name a line, in the order of the classes, or the names.
        top: how many classes of each picture.
        options: said={"mean_file": …, "new_size": (256, 256), …}, oversample=True, channel_mean,
            batch, device, exact, output, and those of `netspec.load`.

    Raises: NetspecError, also where a picture can't be read.
    """
    if isinstance(pictures, (str, Path, bytes, np.ndarray)):
        pictures = [pictures]
    found = list(Classifier(path, weights, labels, **options).classify(pictures, top))
    faults = [each for one in found if one.fault for each in one.fault.diagnostics]
    if faults:
        raise NetspecError(faults)
    return found


def _score_output(net: Net) -> str:
    """The output with the scores: the only one, or the only Softmax. Raises: NetspecError."""
    softmax = [name for name in net.outputs if net.blob(name).producer.type == "Softmax"]
    for found in (net.outputs, softmax):
        if len(found) == 1:
            return found[0]
    names = ", ".join(f"'{name}'" for name in net.outputs) or "none"
    message = f"the net '{net.name}' has the outputs {names}; which one has the scores?"
    raise NetspecError(message, None, "name it, as in --output prob")


def _class_count(net: Net, name: str) -> int:
    blob = net.blob(name)
    shape = blob.shape or ()
    if len(shape) < 2 or blob.count != shape[0] * shape[1]:
        message = f"'{name}' is {shape_text(blob.shape)}, expected N×K: a score for each class"
        hint = None
        if blob.producer.type == "DetectionOutput":
            hint = "the net finds boxes: `netspec detect` shows them"
        raise NetspecError(message, blob.span, hint)
    return shape[1]


def _labels(labels: str | Path | Iterable[str], classes: int) -> list[str]:
    """The names of the classes. Raises: NetspecError where there are not as many as classes."""
    if isinstance(labels, (str, Path)):
        names, where = [line.strip() for line in read_list(str(labels))], f"'{labels}' has"
    else:
        names, where = list(labels), "there are"
    if len(names) != classes:
        message = f"{where} {counted(len(names), 'label')}, but the net has {classes} classes"
        raise NetspecError(message)
    return names
