"""The operator is asked before a tool changes something outside, and never twice about a call."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from acting import Acting, Send, act, allowing
from building import Ran, agent

from rolecall import Consent, ConsentAsked, ConsentDecided, RunStarted, ToolCall, ToolEnded
from rolecall.storage.run_folder import RunFolder

REFUSED = "the operator does not allow this call"
MAILER = agent("writer", tools=("mail",))


def mail(id: str, to: str = "a") -> ToolCall:
    return ToolCall(id, "mail_send", {"to": to})


class Operator:
    """Answers what it was told to, and keeps the questions."""

    def __init__(self, *answers: Consent | bool) -> None:
        self.questions: list[ConsentAsked] = []
        self._answers = list(answers)

    async def __call__(self, question: ConsentAsked) -> Consent | bool:
        self.questions.append(question)
        return self._answers.pop(0)


def send(
    folder: Path,
    turns: Sequence[Any] = ([mail("1")], "done"),
    tool: Send | None = None,
    **more: Any,
) -> tuple[Ran, Acting]:
    provider = Acting({"writer": turns})
    tools = {"mail.send": tool or Send()}
    return act(folder, [MAILER], provider, tools=tools, **more), provider


def results(ran: Ran) -> list[str]:
    return [event.text for event in ran.events.of(ToolEnded)]


@pytest.mark.parametrize(("patterns", "sent"), [((), 0), (("mail.*",), 1), (("mail.send",), 1)])
def test_settings_allow_tools_by_pattern_and_without_them_a_call_is_refused(
    tmp_path: Path, patterns: tuple[str, ...], sent: int
) -> None:
    tool = Send()
    ran, provider = send(tmp_path / "run", tool=tool, settings=allowing(*patterns))
    assert len(tool.sent) == sent
    (result,) = provider.results(1)
    assert (result.text, result.is_error) == (("sent", False) if sent else (REFUSED, True))
    assert ran.events.of(ConsentAsked) == []


def test_what_the_settings_allow_is_not_asked_about(tmp_path: Path) -> None:
    operator = Operator()
    send(tmp_path / "run", settings=allowing("mail"), consent=Operator(False))
    send(tmp_path / "other", settings=allowing("mail.*"), consent=operator)
    assert operator.questions == []


def test_a_question_names_agent_tool_plugin_and_arguments(tmp_path: Path) -> None:
    operator, tool = Operator(True), Send()
    ran, _ = send(
        tmp_path / "run", tool=tool, consent=operator, tool_plugins={"mail.send": "mailing"}
    )
    (question,) = operator.questions
    assert (question.agent, question.tool, question.plugin) == ("writer", "mail.send", "mailing")
    assert question.arguments == tool.sent[0] == {"to": "a"}
    assert ran.events.of(ConsentAsked) == [question]
    (decided,) = ran.events.of(ConsentDecided)
    assert (decided.step, decided.call, decided.consent) == (question.step, "1", Consent.ONCE)


@pytest.mark.parametrize("no", [False, Consent.REFUSED])
def test_what_the_operator_refuses_is_told_to_the_model_which_goes_on(
    tmp_path: Path, no: Consent | bool
) -> None:
    tool = Send()
    ran, provider = send(tmp_path / "run", tool=tool, consent=Operator(no))
    (result,) = provider.results(1)
    assert (result.text, result.is_error, tool.sent) == (REFUSED, True, [])
    assert ran.outcome.done == ("writer",)


TWO = ([mail("1")], [mail("1", "b"), mail("2", "c")], "done")


def test_a_yes_counts_once(tmp_path: Path) -> None:
    operator, tool = Operator(Consent.ONCE, False, True), Send()
    ran, _ = send(tmp_path / "run", TWO, tool, consent=operator)
    assert results(ran) == ["sent", REFUSED, "sent"]
    assert [sent["to"] for sent in tool.sent] == ["a", "c"]


def test_a_yes_to_all_counts_for_every_later_call_of_that_tool_alone(tmp_path: Path) -> None:
    class Delete(Send):
        name = "mail.delete"

    operator = Operator(Consent.ALWAYS, False)
    turns = (*TWO[:2], [ToolCall("1", "mail_delete", {})], "done")
    provider = Acting({"writer": turns})
    tools = {"mail.send": Send(), "mail.delete": Delete()}
    ran = act(tmp_path / "run", [MAILER], provider, tools=tools, consent=operator)
    assert results(ran) == ["sent", "sent", "sent", REFUSED]
    assert [question.tool for question in operator.questions] == ["mail.send", "mail.delete"]


def test_agents_are_asked_about_one_after_the_other_and_others_go_on(tmp_path: Path) -> None:
    answered = asyncio.Event()
    asked: list[str] = []
    busy = 0

    async def consent(question: ConsentAsked) -> Consent:
        nonlocal busy
        busy += 1
        assert busy == 1
        asked.append(question.agent)
        await answered.wait()
        busy -= 1
        return Consent.ALWAYS

    class Last(Acting):
        async def complete(self, request: Any) -> Any:
            if "third" in request.system:
                answered.set()  # only this agent's own work lets the operator answer
            return await super().complete(request)

    mailers = [agent(name, tools=("mail",)) for name in ("first", "second")]
    turns = [[mail("1")], "done"]
    provider = Last({"first": turns, "second": turns, "third": ["done"]})
    ran = act(
        tmp_path / "run",
        [*mailers, agent("third")],
        provider,
        tools={"mail.send": Send()},
        consent=consent,
    )
    assert ran.outcome.done == ("first", "second", "third")
    assert asked in (["first"], ["second"])  # the answer to it was meant for the other, too


def test_a_program_that_breaks_when_it_is_asked_allows_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def consent(question: ConsentAsked) -> bool:
        raise OSError("no dialogue")

    ran, _ = send(tmp_path / "run", consent=consent)
    assert results(ran) == [REFUSED]
    assert "nobody could be asked about 'mail.send': OSError: no dialogue" in caplog.text


# After a crash.


def cut(whole: Path, target: Path, is_last: Callable[[str], bool]) -> None:
    """Copy a run as it would be had it been killed after a line of its journal."""
    shutil.copytree(whole, target)
    journal = (whole / "journal.jsonl").read_text("utf-8").splitlines(keepends=True)
    number = next(number for number, line in enumerate(journal) if is_last(line))
    (target / "journal.jsonl").write_text("".join(journal[: number + 1]), "utf-8")
    shutil.rmtree(target / "deliverables")


def decided(line: str) -> bool:
    return '"type":"consent"' in line.replace(" ", "")


@pytest.mark.parametrize(("answer", "sent"), [(Consent.ONCE, 1), (Consent.REFUSED, 0)])
def test_a_call_that_was_decided_is_not_asked_about_again(
    tmp_path: Path, answer: Consent, sent: int
) -> None:
    send(tmp_path / "whole", consent=Operator(answer))
    cut(tmp_path / "whole", tmp_path / "cut", decided)
    operator, tool = Operator(), Send()
    send(tmp_path / "cut", tool=tool, consent=operator)
    assert (operator.questions, len(tool.sent)) == ([], sent)


def test_a_yes_to_all_outlives_the_process(tmp_path: Path) -> None:
    send(tmp_path / "whole", TWO, consent=Operator(Consent.ALWAYS))
    cut(tmp_path / "whole", tmp_path / "cut", decided)
    tool = Send()
    send(tmp_path / "cut", TWO, tool)
    assert [sent["to"] for sent in tool.sent] == ["a", "b", "c"]


def test_an_agent_that_is_to_work_again_asks_again(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    send(folder, consent=Operator(True))
    with RunFolder(folder) as opened:
        opened.store.forget(["writer"])
    operator = Operator(False)
    ran, _ = send(folder, consent=operator)
    assert len(operator.questions) == 1
    assert results(ran) == [REFUSED]


def test_a_run_that_goes_on_tells_what_was_done_before(tmp_path: Path) -> None:
    whole, _ = send(tmp_path / "run", settings=allowing("*"))
    again, _ = send(tmp_path / "run")
    (started,) = again.events.of(RunStarted)
    assert started.acted == tuple(whole.events.of(ToolEnded))
    assert again.events.of(ToolEnded) == []
