"""caffe.Net: a net that runs layer by layer on blobs that a script reads and writes.

Source: pycaffe's Net (python/caffe/pycaffe.py, _caffe.cpp).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.layers.python_object import TEST, TRAIN
from netspec.pipeline import load
from netspec.pycaffe import mode
from netspec.pycaffe.alias import running_user_code
from netspec.pycaffe.blob import Blob, BlobVec
from netspec.pycaffe.data_step import MemoryDataStep
from netspec.pycaffe.net_weights import copy_weights, require_file, share_weights
from netspec.pycaffe.running_net import RunningNet
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.weights import save_weights

Array = NDArray[Any]


class Net(RunningNet):
    """A net of a file for one phase, as pycaffe makes it.

    `Net(file, phase)`, `Net(file, phase, level=…, stages=…, weights=…)`, and the older form
    `Net(file, weights, phase)`.

    Raises: RuntimeError where a file can't be opened, NetspecError where the net is wrong. What the
        Python code of a layer raises comes out as it is.
    """

    def __init__(
        self,
        network_file: str | Path,
        *args: Any,
        phase: int | None = None,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: str | Path | None = None,
    ) -> None:
        if len(args) == 2 and isinstance(args[0], (str, Path)):
            weights, phase = args
        elif args:
            given = (*args, *(phase, level, stages, weights)[len(args) :])
            phase, level, stages, weights = given
        if phase is None:
            raise TypeError("Net takes a file and a phase, caffe.TRAIN or caffe.TEST")
        if phase not in (TRAIN, TEST):
            raise ValueError(f"the phase is caffe.TRAIN or caffe.TEST, got {phase!r}")
        require_file(str(network_file))
        if weights is not None:
            require_file(str(weights))
        with running_user_code():
            net = load(
                str(network_file),
                "TRAIN" if int(phase) == TRAIN else "TEST",
                level,
                [str(stage) for stage in stages or ()],
                allow_python_layers=True,
            )
            module = lower(net)
        fill_params(module, net, mode.next_seed())
        self._take(net, module.to(mode.device()), mode.device(), mode.next_seed)
        if weights is not None:
            self.copy_from(str(weights))

    @property
    def name(self) -> str:
        return self.graph.name

    @cached_property
    def layers(self) -> list[Any]:
        """The layers in order, with those that Caffe inserts; each has `type` and `blobs`.

        A Python layer is the object of the user's class itself.
        """
        return [step.shown for step in self._steps]

    @cached_property
    def _layer_names(self) -> list[str]:
        return [step.name for step in self._steps]

    @cached_property
    def layer_dict(self) -> OrderedDict[str, Any]:
        """The layers by name."""
        return OrderedDict((step.name, step.shown) for step in self._steps)

    @property
    def blobs(self) -> OrderedDict[str, Blob]:
        """The blobs by name, in the order in which layers make them."""
        return self._blobs_by_name

    @cached_property
    def _blob_names(self) -> list[str]:
        return list(self._blobs_by_name)

    @property
    def _blobs(self) -> list[Blob]:
        return list(self._blobs_by_name.values())

    @cached_property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """What each blob counts in the objective."""
        return OrderedDict((name, self._weights.get(name, 0.0)) for name in self._blobs_by_name)

    @property
    def _blob_loss_weights(self) -> list[float]:
        return list(self.blob_loss_weights.values())

    def _blob_ids(self, names: Iterable[str]) -> list[int]:
        known = self._blob_names
        return [known.index(name) for name in names]

    @property
    def _inputs(self) -> list[int]:
        return self._blob_ids(self.inputs)

    @property
    def _outputs(self) -> list[int]:
        return self._blob_ids(self.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        return self._blob_ids(self._steps[layer].top_names)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._blob_ids(self._steps[layer].bottom_names)

    @cached_property
    def params(self) -> OrderedDict[str, BlobVec]:
        """The blobs of each layer that has any, by the layer's name."""
        return OrderedDict((step.name, step.blobs) for step in self._steps if step.blobs)

    @cached_property
    def inputs(self) -> list[str]:
        """The tops of Input layers."""
        return list(self.graph.inputs)

    @cached_property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads."""
        return list(self.graph.outputs)

    @cached_property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's tops."""
        return OrderedDict((step.name, list(step.top_names)) for step in self._steps)

    @cached_property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's bottoms."""
        return OrderedDict((step.name, list(step.bottom_names)) for step in self._steps)

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: Any,
    ) -> dict[str, Array]:
        """Runs layers forward, from the first to the last or as `start` and `end` name them.

        Args:
            blobs: names of more blobs to return.
            inputs: values of the net's inputs by name, all of them or none.

        Returns: the net's outputs, or the tops of `end`, and what `blobs` names.
        """
        first = 0 if start is None else self._index(start)
        last = len(self._steps) - 1 if end is None else self._index(end)
        wanted = self.outputs if end is None else self._steps[last].top_names
        if inputs:
            if set(inputs) != set(self.inputs):
                raise ValueError(
                    "input blob arguments do not match the net's inputs: "
                    f"expected {self.inputs}, got {list(inputs)}"
                )
            for name, value in inputs.items():
                self._fill(name, "data", value, "input")
        self.run_forward(first, last)
        return {name: self._blob(name).data for name in dict.fromkeys([*wanted, *(blobs or ())])}

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **tops: Any,
    ) -> dict[str, Array]:
        """Runs layers backward, from the last to the first or as `start` and `end` name them.

        Args:
            diffs: names of more blobs whose diff to return.
            tops: the diffs of the net's outputs by name, all of them or none.

        Returns: the diffs of the net's inputs, or of the bottoms of `end`, and what `diffs` names.
        """
        first = len(self._steps) - 1 if start is None else self._index(start)
        last = 0 if end is None else self._index(end)
        wanted = self.inputs if end is None else self._steps[last].bottom_names
        if tops:
            if set(tops) != set(self.outputs):
                raise ValueError(
                    "top diff arguments do not match the net's outputs: "
                    f"expected {self.outputs}, got {list(tops)}"
                )
            for name, value in tops.items():
                self._fill(name, "diff", value, "diff")
        self.run_backward(first, last)
        return {name: self._blob(name).diff for name in dict.fromkeys([*wanted, *(diffs or ())])}

    def _index(self, layer: str) -> int:
        names = self._layer_names
        if layer not in names:
            raise ValueError(f"the net has no layer '{layer}'")
        return names.index(layer)

    def _blob(self, name: str) -> Blob:
        if name not in self._blobs_by_name:
            raise KeyError(f"the net has no blob '{name}'")
        return self._blobs_by_name[name]

    def _fill(self, name: str, part: str, value: Any, what: str) -> None:
        blob = self._blob(name)
        sizes = np.shape(value)
        if blob.sizes and sizes[:1] != blob.sizes[:1]:
            got = sizes[0] if sizes else "no axis"
            raise ValueError(
                f"{what} '{name}' is not batch sized: expected {blob.sizes[0]}, got {got}"
            )
        getattr(blob, part)[...] = value

    def forward_all(self, blobs: Sequence[str] | None = None, **inputs: Any) -> dict[str, Array]:
        """Runs the net forward on any number of items, batch by batch.

        Args:
            blobs: names of more blobs to return.
            inputs: values of the net's inputs; the last batch is filled up with zeros.

        Returns: as `forward`, the batches in one array each.
        """
        found: dict[str, list[Array]] = {}
        for batch in self._batch(inputs):
            for name, value in self.forward(blobs, **batch).items():
                found.setdefault(name, []).extend(value.copy())
        count = len(next(iter(inputs.values())))
        return {name: np.asarray(items[:count]) for name, items in found.items()}

    def forward_backward_all(
        self, blobs: Sequence[str] | None = None, diffs: Sequence[str] | None = None, **values: Any
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Runs the net forward and backward on any number of items, batch by batch.

        Args: values: of inputs by name, and diffs of outputs by name.
        Returns: what `forward` and what `backward` give, the batches in one array each.
        """
        inputs = {name: values[name] for name in self.inputs if name in values}
        tops = {name: values[name] for name in self.outputs if name in values}
        outs: dict[str, list[Array]] = {}
        gradients: dict[str, list[Array]] = {}
        none: dict[str, Any] = {}
        for given, given_diffs in zip_longest(
            self._batch(inputs), self._batch(tops), fillvalue=none
        ):
            forward = self.forward(blobs, **given)
            for name, value in forward.items():
                outs.setdefault(name, []).extend(value.copy())
            for name, value in self.backward(diffs, **given_diffs).items():
                gradients.setdefault(name, []).extend(value.copy())
        count = len(next(iter(values.values())))
        return (
            {name: np.asarray(items[:count]) for name, items in outs.items()},
            {name: np.asarray(items[:count]) for name, items in gradients.items()},
        )

    def _batch(self, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Arrays in pieces of the net's batch size, the last one filled up with zeros."""
        if not values:
            return
        count = len(next(iter(values.values())))
        size = next(iter(self._blobs_by_name.values())).shape[0]
        for start in range(0, count, size):
            batch = {}
            for name, value in values.items():
                rows = np.asarray(value[start : start + size])
                missing = size - len(rows)
                padding = np.zeros((missing, *rows.shape[1:]), rows.dtype)
                batch[name] = np.concatenate([rows, padding]) if missing else rows
            yield batch

    def copy_from(self, path: str | Path) -> None:
        """Copies the weights of a file into the layers of the same names.

        Raises: RuntimeError where it can't be opened, NetspecError where a layer has other blobs.
        """
        copy_weights(self.module, str(path))

    def load_hdf5(self, path: str | Path) -> None:
        """As `copy_from`, of an HDF5 file."""
        copy_weights(self.module, str(path), hdf5=True)

    def share_with(self, other: Net) -> None:
        """Makes the params those of another net's layers of the same names; diffs stay its own."""
        share_weights(self.module, other.module)

    def save(self, path: str | Path) -> None:
        """Writes the weights in Caffe's binary form, whatever the file's name is."""
        save_weights(self.module, str(path), format="caffemodel")

    def save_hdf5(self, path: str | Path) -> None:
        """Writes the weights in Caffe's HDF5 form."""
        save_weights(self.module, str(path), format="hdf5")

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Gives the arrays to feed to a net whose first layer is MemoryData.

        They are read in each pass.

        Raises: RuntimeError where they do not fit.
        """
        layer = self._steps[0] if self._steps else None
        if not isinstance(layer, MemoryDataStep):
            raise RuntimeError("set_input_arrays needs a net whose first layer is MemoryData")
        if labels.ndim == 1:
            labels = np.ascontiguousarray(labels[:, None, None, None])
        layer.feed(data, labels)
