"""Which tools an agent may use, and how models call them."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from ..errors import UsageError, nearest
from ..types.agents import Agent
from ..types.parts import ToolSpec
from ..types.tools import NeedsSandbox, Tool
from .checks.registration import RegisterChecks


class Toolbox:
    """The tools of one agent, by the names that models see: vendors take no dots in them.

    left_out: names of those that it goes without since there is no sandbox.
    """

    def __init__(self, tools: Iterable[Tool] = (), left_out: Iterable[Tool] = ()) -> None:
        self._tools = {_shown(tool.name): tool for tool in tools}
        self.left_out = [_shown(tool.name) for tool in left_out]

    @property
    def tools(self) -> tuple[Tool, ...]:
        return tuple(self._tools.values())

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """List what a model is told of them."""
        return tuple(
            ToolSpec(name, tool.description, tool.parameters) for name, tool in self._tools.items()
        )

    def find(self, name: str) -> Tool | None:
        """Return the tool that a model means, or None."""
        return self._tools.get(name)

    @property
    def names(self) -> list[str]:
        return list(self._tools)


def choose(
    agent: Agent, tools: Mapping[str, Tool], has_sandbox: bool, *, registers: bool = False
) -> Toolbox:
    """Pick an agent's tools; those that need a sandbox are left out where there is none.

    registers: whether the checks of its work are its own to name. Raises UsageError where one of
    its names, groups (the part before a dot) or patterns matches nothing, or two tools have one
    name for models.
    """
    chosen: dict[str, Tool] = {}
    for pattern in agent.tools:
        found = [name for name in tools if _matches(name, pattern)]
        if not found:
            groups = {name.partition(".")[0] for name in tools}
            hint = nearest(pattern, {*tools, *groups})
            raise UsageError(
                f"{agent.name} is to have {pattern!r}, and there is no such tool{hint}"
            )
        for name in found:
            twin = chosen.setdefault(_shown(name), tools[name])
            if twin.name != name:
                raise UsageError(
                    f"{agent.name} is to have {twin.name!r} and {name!r}, which models could not "
                    "tell apart; leave one out"
                )
    left_out = [tool for tool in chosen.values() if not has_sandbox and _needs_sandbox(tool)]
    offered = [tool for tool in chosen.values() if tool not in left_out]
    if not (offered and agent.verify and registers):
        return Toolbox(offered, left_out)
    if RegisterChecks.name in chosen:
        raise UsageError(f"{agent.name}: {RegisterChecks.name!r} is rolecall's own tool; rename it")
    return Toolbox([*offered, RegisterChecks()], left_out)


def _shown(name: str) -> str:
    return name.replace(".", "_")


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or name.startswith(f"{pattern}.") or fnmatchcase(name, pattern)


def _needs_sandbox(tool: Tool) -> bool:
    return isinstance(tool, NeedsSandbox) and tool.needs_sandbox
