"""What a layer type is: its arity, its checks, its shape rule, its params and cost.

No torch, no numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from netspec.graph import Layer, Shape
from netspec.layers.example import Example
from netspec.layers.kept import BOTTOM_KEPT, Kept
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach, same_places
from netspec.layers.setting import Setting, shown_settings
from netspec.schema.extensions import Field

if TYPE_CHECKING:
    from netspec.layers.layer_context import LayerContext

BOTTOM, TOP = frozenset(("bottom",)), frozenset(("top",))


class Spec:
    """A layer type. A subclass states its class variables and overrides what differs."""

    type: ClassVar[str] = ""
    # Where forks mean different things by one type: the name of this rule, the dialects that mean
    # it, and in a few words what is its own, for those who have to choose.
    rule: ClassVar[str] = ""
    dialects: ClassVar[tuple[str, ...]] = ()
    differs: ClassVar[str] = ""
    blob_count: ClassVar[int | None] = None  # of its weights, where their number identifies it
    takes: ClassVar[frozenset[str]] = (
        frozenset()
    )  # forks' fields in Caffe's messages that it carries out
    not_computed: ClassVar[str] = ""  # why netspec knows the type's shapes alone
    param: ClassVar[str] = ""  # the field of LayerParameter with the layer's own parameters
    # what that field holds, where caffe.proto does not say it
    fields: ClassVar[tuple[Field, ...]] = ()
    example: ClassVar[Example] = Example({})
    shown: ClassVar[tuple[Setting, ...]] = ()  # what a picture shows of its parameters
    shown_param: ClassVar[str] = ""  # the field that holds these, where it is not `param`
    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # least and most; None is any number
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    in_place: ClassVar[bool] = False  # may its top be its bottom?
    is_source: ClassVar[bool] = False  # are its tops inputs of the module?
    # of a source: are they inputs of the net, too, and it no data layer?
    is_input: ClassVar[bool] = False
    reader: ClassVar[str] = ""  # of a data layer: the module and class that reads its data
    # of a data layer without one: why netspec does not read its data
    no_reader: ClassVar[str] = "its data come from the caller, not from files"
    continuation: ClassVar[int | None] = None  # the bottom that says where sequences go on
    is_metric: ClassVar[bool] = False  # is its top a figure of merit, of which more is better?
    # does its top list detections, whose average precision a test computes in place of a mean?
    lists_detections: ClassVar[bool] = False
    is_loss: ClassVar[bool] = False  # is its first top's loss_weight 1 where none is given?
    # does it do something beside its tops, and so run without one?
    has_side_effects: ClassVar[bool] = False
    # does a forward pass of the same bottoms, params and buffers give the same once more?
    is_repeatable: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = frozenset()  # what its gradient reads: "bottom", "top"
    gradient_reads_signs: ClassVar[bool] = False  # does its gradient ask for signs alone?
    # bottoms that force_backward gives no gradient: labels, cont
    unforced: ClassVar[tuple[int, ...]] = ()
    # what it computes for each value of its first bottom, beside multiply-adds
    each: ClassVar[Operations] = Operations()
    keeps: ClassVar[Kept] = BOTTOM_KEPT  # for its gradient in PyTorch
    # does a place read the same place of its bottoms, where the sizes of their planes agree?
    keeps_places: ClassVar[bool] = True
    sizes_only: ClassVar[tuple[int, ...]] = ()  # bottoms whose shape it reads, not their values
    automatic_top: ClassVar[bool] = False  # does it make a top of its own where none is named?

    @property
    def name(self) -> str:
        """What distinguishes it from every other spec.

        This is its type, with its rule where the type has several.
        """
        return f"{self.type} ({self.rule})" if self.rule else self.type

    def evidence(self, message: Any) -> bool | None:
        """Whether a layer's message shows that this rule is meant (True), or another (False)."""
        return None

    def gives_way(self, layer: Layer) -> bool:
        """Whether code of the user's takes its place where Python layers are allowed to run."""
        return False

    def shares_memory(self, layer: Layer) -> bool:
        """Whether its tops share its first bottom's memory: in-place writes show in both."""
        return False

    @property
    def family(self) -> str:
        """The family of the layer type, which is the file that it stands in."""
        return type(self).__module__.rpartition(".")[2]

    def settings(self, layer: Layer) -> list[str]:
        """What a picture shows of the layer's settings, each a few words."""
        param = self.shown_param or self.param
        return shown_settings(layer.field(param), self.shown) if param and self.shown else []

    def gradient_reads(self, layer: Layer) -> frozenset[str]:
        """Which of "bottom" and "top" Caffe's gradient of the layer reads where they stand.

        It may read the other from a copy.
        """
        return self.reads

    def misreads_in_place(self, layer: Layer) -> bool:
        """Whether its gradient is another one in place, where it finds the top for the bottom."""
        return "bottom" in self.gradient_reads(layer)

    def keeps_signs(self, layer: Layer) -> bool:
        """Whether in place it leaves what is above 0, and sends no gradient to what it does not."""
        return False

    def passes_scale(self, layer: Layer) -> bool:
        """Whether its gradients are in proportion to its tops', so that a loss scale goes down."""
        return True

    def shares_gradient(self, layer: Layer) -> bool:
        """Whether its top's gradient lies, from set-up on, with its bottom's or its inside's."""
        return False

    def class_axis(self, layer: Layer) -> int | None:
        """The axis of its first bottom that has a place for each class.

        Its second bottom then holds labels that count these places from 0. None where it has no
        labels of classes.
        """
        return None

    def check(self, context: LayerContext) -> None:
        """Reports what is wrong in the layer's own fields, whatever its bottoms are."""

    def infer(self, context: LayerContext) -> Sequence[Shape | None]:
        """The tops' shapes, None for one that can't be known; adds the params to the context."""
        return [context.bottoms[0]]

    def macs(self, layer: Layer) -> int:
        """Multiply-adds of one forward pass over the batch."""
        return 0

    def operations(self, layer: Layer) -> Operations:
        """What one forward pass over the batch computes beside multiply-adds."""
        return self.each.times(layer.bottom_blobs[0].count if layer.bottom_blobs else 0)

    def kept(self, layer: Layer) -> Kept:
        """What PyTorch keeps of the layer for its gradient."""
        return self.keeps

    def is_absent(self, layer: Layer) -> bool:
        """Whether the compiled net has its bottom in the place of its top."""
        return False

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        """Which places of a bottom a place of the tops reads; None where it may be any."""
        return same_places(layer, bottom) if self.keeps_places else None
