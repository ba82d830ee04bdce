"""The tree of a message that an upgrade has changed, with the comments of its text."""

from __future__ import annotations

from typing import NamedTuple, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from netspec.diagnostics import Span
from netspec.schema.extensions import find_field, states, value_of
from netspec.schema.forks import fork_field
from netspec.syntax.bind import Spans, unbind
from netspec.syntax.tree import Block, Field, Scalar

TODAYS = {"layers": "layer"}  # what a field of the older formats is called today


class _Written(NamedTuple):
    """A value as the text has it.

    The field that it stands in, and what was bound from it where it is a block.
    """

    field: Field
    value: Scalar | Block
    message: Message | None


def rewrite(block: Block, before: Message, message: Message, spans: Spans) -> Block:
    """What a printer prints of a changed message.

    A block that is as it was stays as it was written; the fields of other blocks come in the order
    of their numbers, those of the file in the order in which they were written. A comment goes
    along with its field, and where that is no more, to the one that follows it.

    Args: block, before: the tree, and the message that was bound from it. message, spans: what
        became of these.
    """
    return _Rewriting(block, before).file(message, spans)


class _Rewriting:
    def __init__(self, block: Block, before: Message) -> None:
        self.root = block
        self.written: dict[int, _Written] = {}  # by the offset at which a value begins
        self.made: dict[int, Field] = {}  # by the id of the field that it was
        self.kept: set[int] = set()  # ids of blocks that are taken over as they are
        self.unbound: dict[int, list[Field]] = {}  # by the id of their block: in no message
        self._find_written(block, before)

    def file(self, message: Message, spans: Spans) -> Block:
        file = self._block(message, spans)
        self._add_unbound(file, self.root)
        starts = {
            name: min((p.value.start for p in places if p.value), default=0)
            for name, places in spans.fields.items()
        }
        file.fields.sort(key=lambda field: starts.get(field.name, 0))
        self._place_comments(self.root, file, [])
        return file

    def _find_written(self, block: Block, message: Message) -> None:
        seen: dict[str, int] = {}
        for field in block.fields:
            descriptor = _field_of(message, field.name)
            if descriptor is None or not _is_bound(message, descriptor, field):
                self.unbound.setdefault(id(block), []).append(field)
                continue
            for value in field.values:
                bound = None
                if isinstance(value, Block):
                    number = seen[field.name] = seen.get(field.name, -1) + 1
                    found = value_of(message, descriptor)
                    bound = cast(Message, found[number] if descriptor.is_repeated else found)
                    self._find_written(value, bound)
                if value.span is not None:
                    self.written[value.span.start] = _Written(field, value, bound)

    def _block(self, message: Message, spans: Spans) -> Block:
        fields: list[Field] = []
        for plain in unbind(message).fields:
            places = spans.fields.get(plain.name, [])
            places = [*places, *[Spans(None, None)] * (len(plain.values) - len(places))]
            if not isinstance(plain.values[0], Block):
                for place in places:
                    self._comes_from(plain, self._written_at(place.value))
                fields.append(plain)
                continue
            descriptor = find_field(message.DESCRIPTOR, plain.name)
            found = value_of(message, descriptor)
            items = found if descriptor.is_repeated else [found]
            fields += [
                self._message(plain.name, item, place)
                for item, place in zip(items, places, strict=True)
            ]
        return Block(fields, None)

    def _written_at(self, span: Span | None) -> _Written | None:
        return None if span is None else self.written.get(span.start)

    def _message(self, name: str, item: Message, place: Spans) -> Field:
        written = self._written_at(place.value)
        field = Field(name, None, [])
        # before the fields inside, which may come from the same one
        self._comes_from(field, written)
        if written is not None and written.field.name == name and written.message == item:
            field.values.append(written.value)
            self.kept.add(id(written.value))
        else:
            block = self._block(item, place)
            if written is not None and name in (written.field.name, TODAYS.get(written.field.name)):
                self._add_unbound(block, written.value)
            field.values.append(block)
        return field

    def _add_unbound(self, block: Block, written: Scalar | Block) -> None:
        """Adds the fields that the schema does not know as they stand in the text."""
        own = {field.name for field in block.fields}
        for field in self.unbound.get(id(written), ()):
            if field.name not in own:
                block.fields.append(field)
                self.made[id(field)] = field
                self.kept.update(id(value) for value in field.values)

    def _comes_from(self, field: Field, written: _Written | None) -> None:
        if written is None or id(written.field) in self.made:
            return
        self.made[id(written.field)] = field
        field.comments += written.field.comments
        field.trailing = "; ".join(filter(None, [field.trailing, written.field.trailing])) or None

    def _place_comments(self, block: Block, target: Block, waiting: list[str]) -> None:
        """Hangs what became of no field on the next one, or behind the last of `target`."""
        for field in block.fields:
            made = self.made.get(id(field))
            if made is None:
                waiting += [*field.comments, *filter(None, [field.trailing])]
            else:
                made.comments[:0] = waiting
                waiting.clear()
            for value in field.values:
                if not isinstance(value, Block) or id(value) in self.kept:
                    continue
                inner = made.values[0] if made is not None else None
                if isinstance(inner, Block):
                    self._place_comments(value, inner, waiting)
                    inner.dangling += waiting
                    waiting.clear()
                else:
                    self._place_comments(value, target, waiting)
        waiting += block.dangling
        if block is self.root:
            target.dangling += waiting


def _field_of(message: Message, name: str) -> FieldDescriptor | None:
    try:
        return find_field(message.DESCRIPTOR, name)
    except KeyError:
        return None


def _is_bound(message: Message, descriptor: FieldDescriptor, field: Field) -> bool:
    """Whether a field's value is in the message; an enum's unknown word is not."""
    if descriptor.enum_type is None or descriptor.is_repeated:
        return True
    fork = fork_field(message.DESCRIPTOR, field.name)  # it may hold the word in its place
    return states(message, descriptor) or (fork is not None and states(message, fork))
