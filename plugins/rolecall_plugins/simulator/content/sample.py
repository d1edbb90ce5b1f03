"""Make up JSON that fits a schema: JSON Schema, or the part of OpenAPI's that Gemini takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

_DEPTH = 12
_ALTERNATIVES = ("anyOf", "any_of", "oneOf")
_WORDS = "simulated"
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "simulated@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/simulated",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Mapping[str, Any]) -> Any:
    """Return a value that fits; patterns and conditions are not taken into account."""
    return _Sampler(schema).value(schema, 0)


@frozen
class _Sampler:
    root: Mapping[str, Any]

    def value(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > _DEPTH:
            return None  # `true` allows anything
        schema = self._merged(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for name in _ALTERNATIVES:
            if schema.get(name):
                return self._alternative(schema, schema[name], depth)
        if "default" in schema and depth:
            return schema["default"]
        return self._of_type(schema, depth)

    def _merged(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follow a reference within the schema, and lay the schemas of `allOf` over each other."""
        seen: set[str] = set()
        while isinstance(reference := schema.get("$ref"), str) and reference not in seen:
            seen.add(reference)
            rest = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**self._referenced(reference), **rest}
        for part in schema.get("allOf") or ():
            inner = self._merged(part) if isinstance(part, Mapping) else {}
            properties = {**(schema.get("properties") or {}), **(inner.get("properties") or {})}
            required = [*(schema.get("required") or ()), *(inner.get("required") or ())]
            schema = {**inner, **schema, "properties": properties, "required": required}
        return {name: value for name, value in schema.items() if name not in ("allOf", "$ref")}

    def _referenced(self, reference: str) -> Mapping[str, Any]:
        inner: Any = self.root
        for name in reference.removeprefix("#").strip("/").split("/"):
            if name:
                name = name.replace("~1", "/").replace("~0", "~")
                inner = inner.get(name) if isinstance(inner, Mapping) else None
        return inner if isinstance(inner, Mapping) else {}

    def _alternative(self, schema: Mapping[str, Any], choices: Sequence[Any], depth: int) -> Any:
        """Choose the first alternative, within what the schema around it says as well."""
        around = {
            name: value
            for name, value in schema.items()
            if name not in ("anyOf", "any_of", "oneOf")
        }
        first = choices[0] if isinstance(choices[0], Mapping) else {}
        return self.value({**around, **self._merged(first)}, depth + 1)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        kind = str(kind).lower() if kind else _implied(schema)
        match kind:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _text(schema)
            case "integer" | "number":
                return _number(schema, whole=kind == "integer")
            case "boolean":
                return True
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = list(schema.get("required") or ())
        # Deep down, only what must be there: a schema may refer to itself.
        names = [name for name in properties if depth < _DEPTH // 2 or name in required]
        order = schema.get("propertyOrdering") or schema.get("property_ordering") or ()
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        made = {name: self.value(properties[name], depth + 1) for name in names}
        others = schema.get("additionalProperties", True)
        for name in required:
            if name not in made:
                made[name] = self.value(others, depth + 1)
        for number in range(len(made), int(schema.get("minProperties") or 0)):
            made[f"{_WORDS}_{number}"] = self.value(others, depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = [self.value(item, depth + 1) for item in schema.get("prefixItems") or ()]
        fewest = int(schema.get("minItems") or schema.get("min_items") or 0)
        most = schema.get("maxItems", schema.get("max_items"))
        wanted = max(fewest, len(first), 1 if depth < _DEPTH // 2 else 0)
        if most is not None:
            wanted = min(wanted, int(most))
        items = schema.get("items", True)
        made = first[:wanted]
        while len(made) < wanted:
            item = self.value(items, depth + 1)
            made.append(_another(item, len(made)) if schema.get("uniqueItems") else item)
        return made


def _implied(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _text(schema: Mapping[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), _WORDS)
    shortest = int(schema.get("minLength") or schema.get("min_length") or 0)
    longest = schema.get("maxLength", schema.get("max_length"))
    text = text.ljust(shortest, ".")
    return text if longest is None else text[: int(longest)]


def _number(schema: Mapping[str, Any], *, whole: bool) -> float:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf") or (1 if whole else None)
    if low is None and above is not None:
        low = above + (step or _between(above, high, below))
    if high is None and below is not None:
        high = below - (step or _between(below, low, above))
    value: float = 0
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    if step:
        value = -(-value // step) * step if low is not None else value // step * step
    return int(value) if whole else value


def _between(edge: float, *others: float | None) -> float:
    """Return a distance from an edge that stays within the other one."""
    other = next((edge for edge in others if edge is not None), None)
    return 1.0 if other is None or abs(other - edge) > 2 else abs(other - edge) / 2


def _another(item: Any, number: int) -> Any:
    """Make an item of a set unlike those before it."""
    if isinstance(item, str):
        return f"{item}{number}"
    if isinstance(item, int | float) and not isinstance(item, bool):
        return item + number
    return item
