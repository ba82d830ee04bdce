"""Which layers of weight files are taken, and for which layers of a net."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from netspec.diagnostics import NetspecError
from netspec.hint import did_you_mean

if TYPE_CHECKING:
    from netspec.weights.match import LoadReport
    from netspec.weights.state_keys import Layout, TensorNames

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeightChoice:
    """What is taken of weight files.

    Args:
        rename: layers of the file by name, each with the layer of the net that takes its weights.
        skip: layers of the file to leave out.
        strict: a layer that the net or the file lacks is an error.
        tensors: only for files with a state_dict's keys: tensors of the file, or what their names
            begin with, each with what it is called in the net, a key of its state_dict or a layer.

    Raises: NetspecError where a layer is renamed and left out.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    skip: Collection[str] = ()
    strict: bool = False
    tensors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.skip:
            if name in self.rename:
                raise NetspecError(f"layer '{name}' is both renamed and left out")

    @property
    def names(self) -> list[str]:
        """The layers of the file that it speaks of."""
        return [*self.rename, *self.skip]

    def tensor_names(self, layers: Layout | None = None) -> TensorNames:
        """What the tensors of a file with a state_dict's keys mean.

        Args: layers: the keys of a net's layers, where one is known.
        """
        from netspec.weights.state_keys import TensorNames  # which needs numpy

        return TensorNames(layers or {}, self.tensors).with_old_names(self.rename)

    def taken(self, path: object, layers: Mapping[str, T]) -> dict[str, T]:
        """A file's layers by the names that the net has for them.

        Raises: NetspecError where two would have one name.
        """
        taken: dict[str, T] = {}
        for name, layer in layers.items():
            if name in self.skip:
                continue
            new = self.rename.get(name, name)
            if new in taken:
                raise NetspecError(
                    f"'{path}' would have two layers '{new}'",
                    hint=f"leave the other one out with --skip-layer {new}, or rename it, too",
                )
            taken[new] = layer
        return taken

    def require_names(self, paths: Sequence[object], layers: Iterable[str]) -> None:
        """Raises NetspecError where the files have no layer of a name that is spoken of.

        Args: layers: those of all files.
        """
        known = set(layers)
        for name in self.names:
            if name not in known:
                whose = f"'{paths[0]}' has no" if len(paths) == 1 else "no weight file has a"
                raise NetspecError(
                    f"{whose} layer '{name}' with weights", hint=did_you_mean(name, known)
                )

    def require_targets(self, layers: Collection[str], net: str) -> None:
        """Raises NetspecError where a layer gets a name that no layer of the net has.

        Args: layers: those with params.
        """
        for old, new in self.rename.items():
            if new not in layers:
                raise NetspecError(
                    f"'{old}' is renamed to '{new}', but the net '{net}' has no such layer with "
                    "params",
                    hint=did_you_mean(new, layers),
                )

    def require_all(self, report: LoadReport) -> None:
        """With `strict`, raises NetspecError where the file or the net lacks a layer."""
        parts = [("lacks", report.missing), ("has beside the net's", report.unused)]
        faults = [f"{what} {', '.join(names)}" for what, names in parts if names]
        if self.strict and faults:
            raise NetspecError(
                f"'{report.path}' has other layers than the net: it {'; it '.join(faults)}",
                hint="--skip-layer leaves one of the file out, --rename gives it the net's name",
            )
