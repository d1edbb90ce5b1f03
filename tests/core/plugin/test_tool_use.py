"""Who may use tools: settings switch them off, and some providers offer none."""

from building import agent

from rolecall import Settings, Team
from rolecall.plugin.tool_use import fit_tools
from rolecall.testing import FakeProvider
from rolecall_plugins.tools.files import FILE_TOOLS

TOOLS = {tool.name: tool for tool in FILE_TOOLS}
TEAM = Team([agent("coder", tools="workspace", routes=("plain", "one")), agent("writer")])


class Plain(FakeProvider):
    takes_tools = False


def test_an_agent_that_acts_keeps_to_the_routes_that_take_tools() -> None:
    providers = {"plain": Plain("plain"), "one": FakeProvider("one")}
    team, lines = fit_tools(TEAM, providers, Settings(), TOOLS)
    assert [str(route) for route in team.agents["coder"].routes] == ["one"]
    assert team.agents["coder"].tools == ("workspace",)
    assert lines == []


def test_an_agent_whose_providers_all_take_none_goes_without_and_that_is_said() -> None:
    providers = {"plain": Plain("plain"), "one": Plain("one")}
    team, lines = fit_tools(TEAM, providers, Settings(), TOOLS)
    assert [str(route) for route in team.agents["coder"].routes] == ["plain", "one"]
    assert team.agents["coder"].tools == ()
    assert lines == ["coder goes without tools: one, plain takes none"]


def test_the_settings_switch_tools_off_for_all() -> None:
    providers = {"plain": Plain("plain"), "one": FakeProvider("one")}
    team, lines = fit_tools(TEAM, providers, Settings(tools=False), TOOLS)
    assert [each.tools for each in team] == [(), ()]
    assert [str(route) for route in team.agents["coder"].routes] == ["plain", "one"]
    assert lines == []


def test_where_no_plugin_supplies_a_tool_agents_go_without() -> None:
    providers = {"plain": Plain("plain"), "one": FakeProvider("one")}
    team, lines = fit_tools(TEAM, providers, Settings(), {})
    assert [each.tools for each in team] == [(), ()]
    assert lines == ["no plugin supplies a tool, so agents go without"]
