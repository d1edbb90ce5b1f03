"""What is checked of a plugin: the rolecall that it wants, its hooks, and what they return.

Every error names the plugin and ends with how to leave it out.
"""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import PluginError, nearest
from . import spec as hookspecs
from .entry_points import GROUP, Point

if TYPE_CHECKING:
    from ..types.agents import Agent
    from ..types.tools import Tool

OWN = "rolecall"
HOOKS = frozenset(name for name in dir(hookspecs) if name.startswith(f"{GROUP}_"))


def check_version(point: Point) -> None:
    """Raise PluginError where a plugin declares that it wants another rolecall than this one."""
    origin = point.distribution
    wanted = [line for line in origin.requires if re.match(rf"{OWN}\b(?!-)", line)]
    if not wanted or origin.name == OWN:
        return
    from packaging.requirements import InvalidRequirement, Requirement

    from .._version import __version__

    for line in wanted:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # pip would not have installed it; it is not for us to judge
        if requirement.marker is None and not requirement.specifier.contains(__version__, True):
            raise PluginError(
                f"the plugin {point.name!r} ({origin.name} {origin.version}) wants "
                f"rolecall{requirement.specifier}, and this is {__version__}; install a version of "
                f"either that fits{how_to_skip(point.name)}"
            )


def how_to_skip(name: str) -> str:
    return f"; skip it with -p no:{name}"


def broken_contract(plugin: str, why: str) -> PluginError:
    return PluginError(
        f"the plugin {plugin!r} breaks a hook's contract: {why}{how_to_skip(plugin)}"
    )


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {in_one_line(error)}"


def in_one_line(error: BaseException) -> str:
    line = " ".join(str(error).split())
    return line if len(line) <= 200 else f"{line[:199]}…"


def check_hooks(name: str, module: object) -> None:
    """Reject implementations that pluggy accepts but would never call as intended."""
    for attribute in dir(module):
        function: Any = getattr(module, attribute, None)
        options = getattr(function, f"{GROUP}_impl", None)
        if isinstance(options, dict):
            _check_hook(name, attribute, function, options)
        elif attribute in HOOKS and inspect.isfunction(function):
            raise broken_contract(
                name, f"{attribute} is not marked with @hookimpl, so nobody would call it"
            )


def _check_hook(name: str, attribute: str, function: Any, options: Mapping[str, Any]) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise broken_contract(name, f"{attribute} is async; hooks are plain functions")
    if options.get("wrapper") or options.get("hookwrapper"):
        raise broken_contract(name, f"{attribute} is a wrapper; each plugin is asked by itself")
    hook = options.get("specname") or attribute
    spec = getattr(hookspecs, hook, None)
    if spec is None and not options.get("optionalhook"):
        raise broken_contract(name, f"there is no hook {hook!r}{nearest(hook, HOOKS)}")
    passed = inspect.signature(spec).parameters if spec is not None else {}
    for argument in inspect.signature(function).parameters.values():
        if spec and argument.name not in passed and argument.default is argument.empty:
            why = f"passes {', '.join(passed) or 'nothing'}, and not {argument.name!r}"
            raise broken_contract(name, f"{attribute} {why}")
        if argument.name in passed and argument.default is not argument.empty:
            # pluggy takes an argument with a default for the plugin's own and leaves it out.
            why = f"the argument {argument.name!r} has a default, so it is never passed"
            raise broken_contract(name, f"{attribute}: {why}")


def check_list(plugin: str, hook: str, answer: object) -> Iterable[Any]:
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise broken_contract(plugin, f"{hook} gave {answer!r}, not a list")
    return answer


def check_agent(plugin: str, hook: str, item: object) -> "Agent":
    from ..types.agents import Agent

    if not isinstance(item, Agent):
        raise broken_contract(plugin, f"{hook} gave {item!r}, not an Agent")
    return item


def check_item(
    plugin: str, item: Any, what: str, method: str, is_async: bool = False, named: bool = True
) -> None:
    function = getattr(item, method, None)
    if inspect.isclass(item) or not callable(function):
        raise broken_contract(plugin, f"{item!r} is not {what}: it has no method {method}()")
    if is_async != inspect.iscoroutinefunction(function):
        must = "must" if is_async else "must not"
        raise broken_contract(plugin, f"{item!r} is not {what}: {method}() {must} be async")
    if named and (not isinstance(getattr(item, "name", None), str) or not item.name):
        raise broken_contract(plugin, f"{item!r} is not {what}: it has no name")


def check_tool(plugin: str, item: Any) -> "Tool":
    """Raise PluginError where a model could not be told of a tool, or its calls not be checked."""
    from ..json_schema import schema_fault
    from ..types.tools import LONGEST_DESCRIPTION, TOOL_NAME

    check_item(plugin, item, "a tool", "call", is_async=True)
    if not TOOL_NAME.fullmatch(item.name):
        raise broken_contract(plugin, f"{item.name!r} is no name that a tool could have")
    description = getattr(item, "description", None)
    if not isinstance(description, str) or not description.strip():
        wrong = "it has no description"
    elif len(description) > LONGEST_DESCRIPTION:
        wrong = f"its description is longer than {LONGEST_DESCRIPTION} characters"
    elif not isinstance(getattr(item, "read_only", None), bool):
        wrong = f"read_only is {getattr(item, 'read_only', None)!r}, not True or False"
    elif fault := schema_fault(getattr(item, "parameters", None)):
        wrong = f"its parameters are no JSON Schema of arguments: {fault}"
    else:
        tool: Tool = item
        return tool
    raise broken_contract(plugin, f"the tool {item.name!r}: {wrong}")
