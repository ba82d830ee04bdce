"""The pages of the rules: as text for a terminal, all of them as Markdown for docs/advice.md."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.advice import RULES
from netspec.advice.rule import Rule

_BAD, _GOOD = "Advised against", "Better"


def rule_list() -> str:
    """A line a rule."""
    width = max(map(len, RULES))
    return "".join(f"{rule.name:<{width}}  {rule.summary}\n" for rule in RULES.values())


def rule_page(rule: Rule) -> str:
    """All that is to be said of a rule."""
    parts = [f"{rule.name}: {rule.summary}", rule.why]
    for title, files in ((_BAD, rule.bad), (_GOOD, rule.good)):
        parts += [f"{title}:", _indented(files, "  ")]
    parts.append(
        "A comment silences it, at the end of a line or before a layer:\n\n"
        f"  # netspec: ignore[{rule.name}]"
    )
    return "\n\n".join(parts) + "\n"


def markdown_pages() -> str:
    """Every rule: a table of them, then page by page."""
    lines = ["| rule | finds |", "|---|---|"]
    lines += [f"| [{r.name}](#{r.name}) | {_escaped(r.summary)} |" for r in RULES.values()]
    for rule in RULES.values():
        lines += ["", f"## {rule.name}", "", f"Finds: {_escaped(rule.summary)}.", "", rule.why]
        for title, files in ((_BAD, rule.bad), (_GOOD, rule.good)):
            lines += ["", f"{title}:", "", _indented(files, "    ")]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("*", "\\*").replace("|", "\\|")


def _indented(files: Mapping[str, str], indent: str) -> str:
    """The files of an example, each with its name above where there are several."""
    texts = [
        (f"# {name}\n" if len(files) > 1 else "") + text.rstrip() for name, text in files.items()
    ]
    return "\n\n".join(
        "\n".join((indent + line).rstrip() for line in text.splitlines()) for text in texts
    )
