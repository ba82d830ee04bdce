"""netspec's one layout of a net's or solver's text, checked to say what the text said."""

from __future__ import annotations

from netspec.diagnostics import NetspecError, Report, Source, whole_file
from netspec.syntax.bind import bind
from netspec.syntax.layout_prototxt import comments_of_prototxt, layout_prototxt
from netspec.syntax.read import YAML_SUFFIXES, file_kind, parse_source
from netspec.syntax.tree import Block


def layout(source: Source) -> str:
    """The text of a source in netspec's layout, which is its own layout.

    Line ends stay as they are: those of the first line are taken for all.

    Raises: NetspecError where the text can't be parsed, or where the layout would say something
        else: a bug of netspec.
    """
    before = parse_source(source)
    text = _laid_out(source)
    try:
        is_same = _says_the_same(before, parse_source(Source(source.path, text)))
    except NetspecError:
        is_same = False
    if not is_same or _comments(source.path, text) != _comments(source.path, source.text):
        raise internal_error(source.path)
    first = source.text.partition("\n")[0]
    return text.replace("\n", "\r\n") if first.endswith("\r") else text


def _laid_out(source: Source) -> str:
    if source.path.endswith(YAML_SUFFIXES):
        from netspec.syntax.layout_yaml import layout_yaml  # yaml is imported only where it is used

        return layout_yaml(source.text)
    return layout_prototxt(source.text)


def _comments(path: str, text: str) -> list[str]:
    if path.endswith(YAML_SUFFIXES):
        from netspec.syntax.yaml_nodes import YamlFile

        return YamlFile(text).every_comment()
    return comments_of_prototxt(text)


def internal_error(path: str) -> NetspecError:
    """What to raise instead of writing a text that says something else than the file."""
    return NetspecError(
        "internal error: the new text would not say the same, so nothing was written",
        whole_file(path),
        "this is a bug of netspec; please report it, with the file",
    )


def _says_the_same(one: Block, other: Block) -> bool:
    """Whether two trees do, also in what no schema knows and so no message holds."""
    return _content(one) == _content(other) and _message(one) == _message(other)


def _content(block: Block) -> list[object]:
    """The fields of a tree that is not bound yet, without their places."""
    return [
        (
            field.name,
            field.is_list,
            [
                _content(value)
                if isinstance(value, Block)
                else (value.kind, value.text if value.value is None else value.value)
                for value in field.values
            ],
        )
        for field in block.fields
    ]


def _message(block: Block) -> bytes:
    """The message of a tree as bytes, in which one nan equals another."""
    message = file_kind(block)()
    bind(block, message, Report(allow_unknown=True))
    return message.SerializePartialToString(deterministic=True)
