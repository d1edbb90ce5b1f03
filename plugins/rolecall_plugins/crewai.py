"""rolecall's models as the `llm` of a CrewAI agent: `rolecall[crewai]`."""

from typing import Any

from crewai.llms.base_llm import BaseLLM
from pydantic import PrivateAttr

from rolecall import LLM


class RolecallLLM(BaseLLM):
    """A model of CrewAI's whose calls rolecall limits, judges and watches.

    It calls no tools by itself: CrewAI then describes them in the prompt.
    """

    _llm: LLM = PrivateAttr()

    def __init__(self, llm: LLM) -> None:
        super().__init__(model="rolecall")
        self._llm = llm

    def call(self, messages: Any, *_: Any, **__: Any) -> str:
        return self._kept(self._llm.call(_texts(messages)))

    async def acall(self, messages: Any, *_: Any, **__: Any) -> str:
        return self._kept(await self._llm.acall(_texts(messages)))

    def supports_function_calling(self) -> bool:
        return False

    def _kept(self, text: str) -> str:
        """End a text where CrewAI wants it to stop."""
        ends = [text.find(word) for word in self.stop if word in text]
        return text[: min(ends)] if ends else text


def as_crewai(llm: LLM) -> RolecallLLM:
    """Make a model that a CrewAI agent takes: `Agent(llm=as_crewai(create_claude_…()))`."""
    return RolecallLLM(llm)


def _texts(messages: Any) -> Any:
    """Leave what CrewAI keeps beside role and content."""
    if isinstance(messages, str):
        return messages
    return [{"role": each["role"], "content": each["content"] or ""} for each in messages]
