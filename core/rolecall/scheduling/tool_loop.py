"""An agent that has tools is asked turn by turn, until it ends without wanting one."""

from collections.abc import Awaitable, Callable

from attrs import evolve, frozen

from ..errors import CallFailed, ProviderError
from ..execution.context import RunContext
from ..types.answer import Answer
from ..types.causes import Cause
from ..types.events import RoundStarted
from ..types.messages import Message, Request, Response, Stop
from ..types.parts import Text
from .tool_executor import ToolExecutor
from .toolbox import Toolbox

LAST = "These were your last tool calls: now write your deliverable, and call no tool."


@frozen
class Written:
    """A whole text.

    answer: to its last piece. request: what that was asked. pieces: how often the agent was asked
    so far. tree: the workspace after the agent's last change, "" where it made none.
    """

    text: str
    answer: Answer
    request: Request
    pieces: int
    tree: str = ""

    def followed_by(self, text: str) -> Request:
        """Return the request that goes on from the text with a new turn."""
        turns = (Message("assistant", self.text), Message("user", text))
        return evolve(self.request, messages=(*self.request.messages, *turns))


Write = Callable[[Request, int], Awaitable[Written]]


@frozen
class ToolLoop:
    """Asks, makes the calls that the answer wants, and asks again.

    write: gets the answer to a request, the piece of this number and those that continue it.
    """

    agent: str
    context: RunContext
    toolbox: Toolbox
    executor: ToolExecutor
    write: Write

    async def run(self, request: Request, pieces: int = 0, tree: str = "") -> Written:
        """Return what the agent wrote in the end; raise CallFailed where it never ends.

        pieces, tree: as in `Written`, where the conversation goes on from an earlier text.
        """
        request = evolve(request, tools=self.toolbox.specs)
        rounds = self.context.settings.max_rounds
        for round in range(1, rounds + 1):
            at = self.context.at
            self.context.emit(RoundStarted(at=at, agent=self.agent, round=round, rounds=rounds))
            written = await self.write(request, pieces)
            response = written.answer.response
            if response.stop is not Stop.TOOL_USE:
                return evolve(written, tree=tree)
            results, changed = await self.executor.carry_out(
                self.agent, written.answer.step, response.tool_calls, self.toolbox
            )
            tree = changed or tree
            pieces = written.pieces
            note = (Text(LAST),) if round == rounds - 1 else ()
            turns = (_turn(response), Message("user", parts=(*results, *note)))
            request = evolve(written.request, messages=(*written.request.messages, *turns))
        why = f"it wanted tools in all of its {rounds} rounds (max_rounds) and never ended"
        raise CallFailed(
            self.agent, [(written.answer.route, ProviderError(Cause.BAD_TOOL_CALL, why))]
        )


def _turn(response: Response) -> Message:
    has_text = any(isinstance(part, Text) for part in response.parts)
    return Message("assistant", "" if has_text else response.text, response.parts)
