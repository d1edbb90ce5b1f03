"""What the docs site shows of a class beyond what stands in its docstring."""

import re
from collections.abc import Iterator
from typing import Any

import griffe

FIELD = re.compile(r"(?P<names>[a-z_]\w*(?:, [a-z_]\w*)*): ")
NEXT = re.compile(rf"(?<=[.;)]) (?={FIELD.pattern.replace('?P<names>', '?:')})")
ATTRS = {"frozen", "define", "mutable"}
AFTER = re.compile(r"(?<=\.) (?=Raises? )")
KEYWORD = griffe.ParameterKind.keyword_only


class Fields(griffe.Extension):
    """Lists described fields, and gives attrs classes and protocols what their readers look for."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        if any(str(base).split("[")[0] == "Protocol" for base in cls.bases):
            for member in cls.members.values():
                if member.docstring is None:  # members without one are not shown
                    member.docstring = griffe.Docstring("", parent=member)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for cls in classes(pkg):
            if is_attrs(cls) and "__init__" not in cls.members:
                cls.set_member("__init__", constructor(cls))


def as_markdown(docstring: str) -> str:
    """Return a docstring in which the fields that a paragraph describes are items of a list."""
    return "\n\n".join(map(_listed, docstring.split("\n\n")))


def _listed(paragraph: str) -> str:
    lines = paragraph.splitlines()
    first = next((number for number, line in enumerate(lines) if FIELD.match(line)), None)
    if first is None:
        return paragraph
    described, *after = AFTER.split(" ".join(line.strip() for line in lines[first:]), maxsplit=1)
    items = [f"- {FIELD.sub(_marked, item, count=1)}" for item in NEXT.split(described)]
    return "\n\n".join(filter(None, ["\n".join(lines[:first]), "\n".join(items), *after]))


def _marked(found: re.Match[str]) -> str:
    names = ", ".join(f"`{name}`" for name in found["names"].split(", "))
    return f"{names}: "


def classes(module: griffe.Module) -> Iterator[griffe.Class]:
    for member in module.members.values():
        if isinstance(member, griffe.Class):
            yield member
        elif isinstance(member, griffe.Module):
            yield from classes(member)


def is_attrs(cls: griffe.Class) -> bool:
    return any(str(each.value).split("(")[0] in ATTRS for each in cls.decorators)


def constructor(cls: griffe.Class) -> griffe.Function:
    """Return the `__init__` that attrs makes, from the annotated names of a class and its bases."""
    parameters = {
        name: parameter(name, member)
        for each in reversed([cls, *cls.mro()])
        for name, member in each.members.items()
        if is_field(member)
    }
    ordered = sorted(parameters.values(), key=lambda each: each.kind is KEYWORD)
    own = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    return griffe.Function(
        "__init__", parameters=griffe.Parameters(own, *ordered), parent=cls, returns="None"
    )


def is_field(member: griffe.Object | griffe.Alias) -> bool:
    return (
        isinstance(member, griffe.Attribute)
        and not member.name.startswith("_")
        and member.annotation is not None
        and "property" not in member.labels
        and "ClassVar" not in str(member.annotation)
    )


def parameter(name: str, member: griffe.Attribute) -> griffe.Parameter:
    value, kind = member.value, griffe.ParameterKind.positional_or_keyword
    if isinstance(value, griffe.ExprCall) and str(value.function) == "field":
        given = {
            each.name: each.value
            for each in value.arguments
            if isinstance(each, griffe.ExprKeyword)
        }
        value = given.get("default", "..." if "factory" in given else None)
        if str(given.get("kw_only")) == "True":
            kind = KEYWORD
    return griffe.Parameter(name, annotation=member.annotation, kind=kind, default=value)
