"""Whether a tool may change something outside of the workspace."""

import asyncio
import logging
from fnmatch import fnmatchcase

from ..storage.step_store import StepStore
from ..types.consent import Consent
from ..types.events import ConsentAsked, ConsentDecided, ToolStarted
from .context import RunContext

_log = logging.getLogger("rolecall")


class ConsentGate:
    """Asks the operator about calls that the settings do not allow, one at a time.

    What was decided is on record, and not asked again. Where nobody can be asked, it is refused.
    """

    def __init__(self, context: RunContext, store: StepStore) -> None:
        self._context = context
        self._store = store
        self._redact = context.redact
        self._asking = asyncio.Lock()

    async def allows(self, call: ToolStarted) -> bool:
        """Check whether a call may be made; this waits for the operator's answer."""
        if any(fnmatchcase(call.tool, pattern) for pattern in self._context.settings.allow):
            return True
        async with self._asking:
            # Looked up here: the answer to the question before may have been meant for this, too.
            consent = self._store.tools.consent(call.step, call.call, call.tool)
            if consent is None:
                consent = await self._ask(call)
        return consent is not Consent.REFUSED

    async def _ask(self, call: ToolStarted) -> Consent:
        context = self._context
        if context.consent is None:
            return Consent.REFUSED
        question = ConsentAsked(
            at=context.at,
            agent=call.agent,
            step=call.step,
            call=call.call,
            tool=call.tool,
            plugin=context.tool_plugins.get(call.tool, ""),
            arguments=call.arguments,
        )
        context.emit(question)
        try:
            answer = await context.consent(question)
        except Exception as error:  # a program's own
            why = f"{type(error).__name__}: {error}"
            _log.warning("nobody could be asked about %r: %s", call.tool, self._redact(why))
            answer = Consent.REFUSED
        if not isinstance(answer, Consent):
            answer = Consent.ONCE if answer else Consent.REFUSED
        decided = ConsentDecided(
            at=context.at,
            agent=call.agent,
            step=call.step,
            call=call.call,
            tool=call.tool,
            consent=answer,
        )
        self._store.remember(decided)
        await self._store.flush()  # nobody is to be asked twice
        context.emit(decided)
        return answer
