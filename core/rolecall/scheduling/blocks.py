"""Blocks of material in a prompt, which no text inside can end or imitate.

Whoever reads a prompt tells by its tags who speaks. Where a text holds one of these tags itself,
its `<` becomes `&lt;`; any other text stands as it is, so that keys of steps, cassettes and the
vendors' prompt caches know it again.
"""

import re

TAGS = ("request", "deliverable", "left-out", "previous", "change", "verification", "output")
# Blanks and signs without width do not keep a model from seeing a tag.
_UNSEEN = r"[\s\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*"
# What compares with the attribute of a variable (`size < previous.size`) is code, and no tag.
_TAG = re.compile(rf"<(?={_UNSEEN}/?{_UNSEEN}(?:{'|'.join(TAGS)})\b(?!\.\w))", re.IGNORECASE)


def block(tag: str, text: str, **attributes: object) -> str:
    """Return a text between tags of its own."""
    return f"<{tag}{_attributes(attributes)}>\n{escaped(text.strip())}\n</{tag}>"


def mark(tag: str, **attributes: object) -> str:
    """Return a tag that stands alone."""
    return f"<{tag}{_attributes(attributes)}/>"


def escaped(text: str) -> str:
    """Return a text in which no tag of ours begins."""
    return _TAG.sub("&lt;", text)


def _attributes(attributes: dict[str, object]) -> str:
    return "".join(f' {name}="{_quoted(str(value))}"' for name, value in attributes.items())


def _quoted(value: str) -> str:
    plain = " ".join(value.split())
    return plain.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
