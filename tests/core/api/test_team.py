"""A team put to work by a program."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from acting import Acting, Send
from attrs import evolve
from building import Closing, Gate, agent, failing, plugin

from rolecall import (
    AgentDone,
    AllRoutesFailed,
    BudgetReached,
    CallStarted,
    CallText,
    ConsentAsked,
    Event,
    Host,
    Request,
    Response,
    Result,
    Run,
    RunBusy,
    RunEnded,
    RunStarted,
    Settings,
    Stop,
    Team,
    TeamError,
    ToolCall,
    UntrustedRun,
    Usage,
    UsageError,
)
from rolecall.config.layers import Layer, Level
from rolecall.testing import FakeProvider

CHAIN = [agent("a"), agent("b", "a"), agent("c", "b", plan=True)]


def hosting(*script: Any, **hooks: Any) -> Host:
    hooks.setdefault("agents", CHAIN)
    hooks.setdefault("providers", lambda: [FakeProvider("one", script)])
    host = Host([])
    host.register("all", plugin(**hooks))
    return host


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(interval=0.0, runs=str(tmp_path / "runs"))


def test_a_team_is_loaded_from_plugins_and_settings(settings: Settings) -> None:
    team = Team.load(settings=settings, host=hosting(), skip=["b"])
    assert list(team.agents) == ["a", "c"]


def test_awaiting_a_run_gives_what_it_came_to(settings: Settings) -> None:
    async def script() -> None:
        result = await Team.load(settings=settings, host=hosting("A", "B", "C")).run("Build it.")
        assert result.ok
        assert result.deliverables == {"a": "A\n", "b": "B\n", "c": "C\n"}
        assert result.plan == "C\n"
        assert result.folder.parent == Path(settings.runs)
        assert result.ledger.total.calls == 3

    asyncio.run(script())


def test_the_runs_of_a_team_share_connections_which_end_with_the_loop(settings: Settings) -> None:
    provider = Closing("one")
    team = Team.load(settings=settings, host=hosting(providers=lambda: [provider]))

    async def one_after_the_other() -> None:
        first = await team.run("Build it.")
        assert (await team.run("Build it again.")).ok
        assert (await team.resume(first.folder)).ok
        assert not provider.closed

    asyncio.run(one_after_the_other())
    assert len(provider.closed) == 1


def test_iterating_over_a_run_gives_its_events_as_they_happen(settings: Settings) -> None:
    async def script() -> list[Event]:
        run = Team.load(settings=settings, host=hosting()).run("Build it.")
        events = [event async for event in run]
        assert (await run).ok
        assert [event async for event in run] == events
        return events

    events = asyncio.run(script())
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert [event.agent for event in events if isinstance(event, AgentDone)] == ["a", "b", "c"]


class Streaming:
    name = "one"
    model = "one-1"

    async def complete(self, request: Request) -> Response:
        for piece in ("Sa", "id"):
            request.progress.text(piece)
            await asyncio.sleep(0)
        return Response("Said")


def test_pieces_of_text_come_as_they_happen_and_are_not_kept(settings: Settings) -> None:
    async def script() -> None:
        team = Team.load(settings=settings, host=hosting(providers=lambda: [Streaming()]))
        run = team.run("Build it.")
        at_once, by_another = await asyncio.gather(everything(run), everything(run))
        assert at_once == by_another
        texts = [event.delta for event in at_once if isinstance(event, CallText)]
        assert texts == ["Sa", "id"] * 3
        later = await everything(run)
        assert later == [event for event in at_once if not isinstance(event, CallText)]

    async def everything(run: Run) -> list[Event]:
        return [event async for event in run]

    asyncio.run(script())


def test_a_run_goes_on_where_its_iteration_is_left(settings: Settings) -> None:
    async def script() -> None:
        run = Team.load(settings=settings, host=hosting()).run("Build it.")
        async for event in run:
            if isinstance(event, AgentDone):
                break
        assert (await run).done == ("a", "b", "c")

    asyncio.run(script())


def test_a_run_that_somebody_else_may_have_made_goes_on_once_it_is_trusted(
    settings: Settings, tmp_path: Path
) -> None:
    async def script() -> None:
        first = await Team.load(settings=settings, host=hosting()).run("Build it.")
        mine = evolve(settings, identity=str(tmp_path / "state"))
        team = Team.load(settings=mine, host=hosting())
        for use in (
            lambda: team.resume(first.folder),
            lambda: team.update(first.folder, "Change it."),
            lambda: team.rerun(first.folder, start=["a"]),
        ):
            with pytest.raises(UntrustedRun, match="was made elsewhere, or by a rolecall that"):
                await use()
        assert (await team.resume(first.folder, trust=True)).ok
        assert (await team.rerun(first.folder, only=["a"])).ok
        assert (await team.resume((await team.run("Build more.")).folder)).ok

    asyncio.run(script())


def test_failures_are_told_and_not_raised(settings: Settings) -> None:
    async def script() -> None:
        host = hosting("A", *failing("auth"))
        result = await Team.load(settings=settings, host=host).run("Build it.")
        assert not result.ok
        assert isinstance(result.failed["b"], AllRoutesFailed)
        assert result.blocked == {"c": "b"}
        assert result.deliverables == {"a": "A\n"}

    asyncio.run(script())


def test_a_cut_deliverable_is_not_ok(settings: Settings) -> None:
    cut = Response("cut off he", stop=Stop.LENGTH)
    host = hosting(*[cut] * 9, agents=[agent("a")])

    async def script() -> None:
        result = await Team.load(settings=settings, host=host).run("Build it.")
        assert (result.ok, result.cut, result.plan) == (False, ("a",), None)

    asyncio.run(script())


def test_what_is_configured_wrongly_is_an_error_before_the_first_call(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no agent is called 'd'"):
        Team.load(settings=settings, host=hosting(), only=["d"])
    with pytest.raises(UsageError, match="there is no provider 'two'"):
        Team.load(settings=settings, host=hosting(), assign={"a": ["two"]})


def test_a_run_can_be_finished_later(settings: Settings, tmp_path: Path) -> None:
    provider = FakeProvider("one", ["A", *failing("auth")])
    host = hosting(providers=lambda: [provider])

    async def script() -> None:
        team = Team.load(settings=settings, host=host)
        first = await team.run("Build it.", tmp_path / "mine")
        assert first.folder == tmp_path / "mine"
        assert (await team.resume(first.folder)).ok
        assert len(provider.requests) == 4

    asyncio.run(script())


def test_a_cancelled_run_keeps_what_is_answered(settings: Settings, tmp_path: Path) -> None:
    provider = FakeProvider("one", ["A", 60.0])
    host = hosting(providers=lambda: [provider])

    async def script() -> None:
        team = Team.load(settings=settings, host=host)
        run = team.run("Build it.", tmp_path / "mine")
        async for event in run:
            if isinstance(event, CallStarted) and event.agent == "b":
                run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert (await team.resume(tmp_path / "mine")).ok
        assert len(provider.requests) == 4

    asyncio.run(script())


def test_a_plan_estimates_a_run_without_a_call(settings: Settings) -> None:
    provider = FakeProvider("one")
    team = Team.load(settings=settings, host=hosting(providers=lambda: [provider]), skip=["c"])
    estimate = team.plan("Build it.")
    assert [entry.agent.name for entry in estimate.agents] == ["a", "b"]
    assert estimate.forecast.calls == 2
    assert not provider.requests
    assert not Path(settings.runs).exists()


def test_a_plan_knows_past_runs(settings: Settings) -> None:
    team = Team.load(settings=settings, host=hosting())
    assert not team.plan("Build it.").forecast.known
    asyncio.run(finished(team))
    assert team.plan("Build it.").forecast.known


async def finished(team: Team) -> Result:
    return await team.run("Build it.")


def test_an_update_works_a_change_into_a_finished_run(settings: Settings) -> None:
    provider = FakeProvider(
        "one", ["A", "B", "C", "A2", '{"touched": [{"agent": "b", "change": "new"}]}', "B2", "C2"]
    )
    team = Team.load(settings=settings, host=hosting(providers=lambda: [provider]))

    async def script() -> None:
        first = await team.run("Build it.")
        second = await team.update(first.folder, "Make it blue. ")
        assert second.ok
        assert second.deliverables["b"] == "B2\n"
        assert second.plan is not None
        assert "Make it blue." in second.plan

    asyncio.run(script())
    assert len(provider.requests) == 7


def test_a_change_that_cannot_be_worked_in_is_refused(settings: Settings) -> None:
    team = Team.load(settings=settings, host=hosting("A", *failing("auth")))

    async def script() -> None:
        first = await team.run("Build it.")
        with pytest.raises(UsageError, match="no deliverable yet; finish the run"):
            await team.update(first.folder, "Make it blue.")
        assert (await team.resume(first.folder)).ok  # the folder is free again

    with pytest.raises(UsageError, match="the change is empty"):
        team.update("anywhere", " ")
    asyncio.run(script())


@pytest.mark.parametrize(
    ("chosen", "came"),
    [({"start": ["b"]}, ["A\n", "B2\n", "C2\n"]), ({"only": ["b"]}, ["A\n", "B2\n", "C\n"])],
)
def test_a_rerun_asks_agents_again(
    settings: Settings, chosen: dict[str, list[str]], came: list[str]
) -> None:
    team = Team.load(settings=settings, host=hosting("A", "B", "C", "B2", "C2"))

    async def script() -> None:
        first = await team.run("Build it.")
        again = await team.rerun(first.folder, **chosen)
        assert list(again.deliverables.values()) == came

    asyncio.run(script())


@pytest.mark.parametrize("chosen", [{}, {"start": ["a"], "only": ["b"]}])
def test_a_rerun_names_its_agents_in_one_way(
    settings: Settings, chosen: dict[str, list[str]]
) -> None:
    with pytest.raises(UsageError, match="which agents"):
        Team.load(settings=settings, host=hosting()).rerun("anywhere", **chosen)


def test_a_finished_run_whose_agents_are_all_gone_asks_nobody_else(settings: Settings) -> None:
    provider = FakeProvider("one")
    others = hosting(agents=[agent("x")], providers=lambda: [provider])

    async def script() -> None:
        first = await Team.load(settings=settings, host=hosting()).run("Build it.")
        with pytest.raises(UsageError, match="no agent of this run is known: a, b, c; install"):
            await Team.load(settings=settings, host=others).resume(first.folder)

    asyncio.run(script())
    assert not provider.requests


def test_a_run_with_some_of_its_agents_gone_says_so(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    fewer = hosting(agents=[agent("a"), agent("x")])

    async def script() -> None:
        first = await Team.load(settings=settings, host=hosting()).run("Build it.")
        assert (await Team.load(settings=settings, host=fewer).resume(first.folder)).ok

    asyncio.run(script())
    assert "known no more, and left out: b, c; asked, and new to it: x" in caplog.text


def test_who_is_left_out_of_a_run_on_purpose_is_not_called_gone(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async def script() -> None:
        team = Team.load(settings=settings, host=hosting(), only=["a"])
        first = await team.run("Build it.")
        assert (await Team.load(settings=settings, host=hosting()).resume(first.folder)).ok

    asyncio.run(script())
    assert not caplog.text


def test_two_runs_cannot_share_a_folder(settings: Settings, tmp_path: Path) -> None:
    async def script() -> None:
        team = Team.load(settings=settings, host=hosting("A", 0.2))
        run = team.run("Build it.", tmp_path / "mine")
        async for _ in run:
            with pytest.raises(RunBusy):
                await team.resume(tmp_path / "mine")
            break
        await run

    asyncio.run(script())


def test_two_teams_work_at_once_in_one_process(settings: Settings) -> None:
    async def script() -> None:
        teams = [Team.load(settings=settings, host=hosting(*texts)) for texts in ("ABC", "DEF")]
        first, second = await asyncio.gather(*(team.run("Build it.") for team in teams))
        assert [first.plan, second.plan] == ["C\n", "F\n"]
        assert first.folder != second.folder

    asyncio.run(script())


def test_all_runs_of_a_team_share_its_limiters(settings: Settings) -> None:
    made: list[Gate] = []

    def limiters() -> list[Gate]:
        made.append(Gate())
        return made[-1:]

    async def script() -> None:
        team = Team.load(settings=settings, host=hosting(limiters=limiters))
        made.clear()
        await asyncio.gather(team.run("Build it."), team.run("Build that."))

    asyncio.run(script())
    assert [len(gate.asked) for gate in made] == [6]


def test_a_team_of_ones_own_needs_no_plugin_for_its_agents(settings: Settings) -> None:
    async def script() -> None:
        team = Team([agent("writer")], settings=settings, host=hosting("# Text"))
        result = await team.run("Write it.")
        assert result.deliverables == {"writer": "# Text\n"}
        assert [path.name for path in (result.folder / "deliverables").iterdir()] == [
            "01-writer.md"
        ]
        assert (await team.resume(result.folder)).ok

    asyncio.run(script())


def test_a_team_of_ones_own_is_checked_too(settings: Settings) -> None:
    with pytest.raises(TeamError, match="needs 'nobody'"):
        Team([agent("writer", "nobody")])
    team = Team([agent("writer", routes=("two",))], settings=settings, host=hosting())
    with pytest.raises(UsageError, match="there is no provider 'two'"):
        team.run("Write it.")


def test_a_team_without_a_word_takes_the_current_folders_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.rolecall]\nattempts = 7\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    team = Team([agent("writer")])
    assert (team.settings.attempts, team.settings.quiet) == (7, True)


def test_a_team_without_any_route_to_call_is_refused_before_its_run(settings: Settings) -> None:
    class Keyless(FakeProvider):
        def missing(self) -> str:
            return "ONE_KEY is not set"

    team = Team.load(settings=settings, host=hosting(providers=lambda: [Keyless("one")]))

    async def script() -> None:
        await team.run("Build it.")

    with pytest.raises(UsageError, match="no agent has a route: one: ONE_KEY is not set"):
        asyncio.run(script())
    assert not Path(settings.runs).exists()


def test_a_run_keeps_to_its_own_budget_and_to_the_projects_only_while_it_stands(
    settings: Settings, tmp_path: Path
) -> None:
    async def stopped(team: Team, folder: Path) -> bool:
        return any(
            isinstance(e, BudgetReached) for e in (await team.resume(folder)).failed.values()
        )

    async def script() -> None:
        project = Layer(Level.PROJECT, "pyproject.toml", {"budget": 0.0})
        poor = settings.with_layer(project)
        own = await Team.load(settings=settings, host=priced(), budget=0.0).run("Build it.")
        shared = await Team.load(settings=poor, host=priced()).run("Build it.")
        assert not own.done
        assert not shared.done
        assert await stopped(Team.load(settings=settings, host=priced()), own.folder)
        assert not await stopped(Team.load(settings=settings, host=priced()), shared.folder)
        assert not await stopped(Team.load(settings=settings, host=priced(), budget=9), own.folder)

    asyncio.run(script())


def priced() -> Host:
    class Priced(FakeProvider):
        def cost(self, model: str, usage: Usage) -> float:
            return 0.1

    return hosting(providers=lambda: [Priced("one")])


def test_a_team_asks_for_consent_to_what_changes_something_outside(settings: Settings) -> None:
    asked: list[ConsentAsked] = []

    async def consent(question: ConsentAsked) -> bool:
        asked.append(question)
        return False

    script = Acting({"a": [[ToolCall("1", "mail_send", {"to": "b"})], "done"]})
    mailer = agent("a", tools=("mail",))
    host = hosting(agents=[mailer], providers=lambda: [script], tools=lambda: [Send()])
    settings = settings.with_environment(PATH=os.environ["PATH"])

    async def work() -> None:
        for team in (
            Team.load(settings=settings, host=host, consent=consent),
            Team([mailer], settings=settings, host=host, consent=consent),
        ):
            assert (await team.run("Build it.")).ok

    asyncio.run(work())
    assert [(question.tool, question.plugin) for question in asked] == [("mail.send", "all")] * 2


# Arguments that make no sense.


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda team: team.run(""), "the request is empty"),
        (lambda team: team.run(" \n"), "the request is empty"),
        (lambda team: team.run(None), "the request must be a text, not None"),
        (lambda team: team.plan(b"x"), "the request must be a text, not b'x'"),
        (lambda team: team.update("nowhere", ""), "the change is empty"),
        (lambda team: team.update("nowhere", 7), "the change must be a text, not 7"),
        (lambda team: team.rerun("nowhere"), r"start=\[...\].*only=\[...\]"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named_at_once(
    wrong: Any, why: str, settings: Settings
) -> None:
    with pytest.raises(UsageError, match=f"^{why}|{why}$"):
        wrong(Team.load(settings=settings, host=hosting()))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"only": "d"}, "^only: no agent is called 'd'"),
        ({"skip": ["d"]}, "^skip: no agent is called 'd'"),
        ({"assign": {"d": "one"}}, "^assign: no agent is called 'd'"),
        ({"assign": {"a": "two"}}, "decided by assign.*run it elsewhere: assign a=ROUTE"),
    ],
)
def test_an_error_names_the_argument_and_no_option(
    arguments: dict[str, Any], why: str, settings: Settings
) -> None:
    with pytest.raises(UsageError, match=why) as raised:
        Team.load(settings=settings, host=hosting(), **arguments)
    assert "--" not in str(raised.value)


@pytest.mark.parametrize("argument", ["start", "only"])
def test_agents_of_a_rerun_that_are_not_there_are_named_with_the_argument(
    argument: str, settings: Settings
) -> None:
    async def script() -> None:
        team = Team.load(settings=settings, host=hosting())
        result = await team.run("Build it.")
        with pytest.raises(UsageError, match=f"^{argument}: no agent is called 'd'"):
            await team.rerun(result.folder, **{argument: "d"})

    asyncio.run(script())


def test_one_name_may_stand_alone(settings: Settings) -> None:
    assert list(Team.load(settings=settings, host=hosting(), only="a").agents) == ["a"]


def test_a_request_that_is_likely_too_long_is_told_before_anything_is_spent(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    class Small(FakeProvider):
        def context_window(self, model: str) -> int | None:
            return 20_000

    async def script() -> None:
        team = Team.load(settings=settings, host=hosting(providers=lambda: [Small("one")]))
        await team.run("Build it.")
        assert not [each for each in caplog.messages if "too long" in each]
        await team.run("x" * 200_000)

    asyncio.run(script())
    (line,) = (each for each in caplog.messages if "too long" in each)
    assert line == (
        "likely too long for their models: the prompts of 3 of 3 agents, "
        "that of b with about 54,030 tokens of at most 20,000: a, b, c"
    )


def test_an_update_that_revises_an_edit_says_so_and_keeps_it(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async def script() -> Path:
        touched = '{"touched": [{"agent": "b", "change": "it"}]}'
        script = ["a1", "b1", "c1", "a2", touched, "b2", "c2"]
        team = Team.load(settings=settings, host=hosting(*script))
        folder = (await team.run("Build it.")).folder
        (folder / "deliverables" / "02-b.md").write_text("by hand\n", "utf-8")
        await team.update(folder, "Otherwise.")
        return folder

    folder = asyncio.run(script())
    assert (folder / "deliverables" / "02-b.md").read_text("utf-8") == "b2\n"
    assert [each.read_text("utf-8") for each in folder.glob("history/*/deliverables/02-b.md")] == [
        "by hand\n"
    ]
    edited = str(folder / "deliverables" / "02-b.md")
    assert [each for each in caplog.messages if "your edit is revised" in each] == [
        f"{edited}: your edit is revised; it is kept in history (rolecall runs diff {folder})"
    ]


def test_what_an_agent_wrote_is_kept_beside_an_edit(settings: Settings) -> None:
    async def script() -> Path:
        team = Team.load(settings=settings, host=hosting("a1", "b1", "c1", "b2", "c2"))
        folder = (await team.run("Build it.")).folder
        (folder / "deliverables" / "01-a.md").write_text("by hand\n", "utf-8")
        await team.resume(folder)
        await team.resume(folder)
        return folder

    folder = asyncio.run(script())
    assert [each.read_text("utf-8") for each in folder.glob("history/*/deliverables/01-a.md")] == [
        "a1\n"
    ]
