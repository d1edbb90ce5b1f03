"""What a reply is worth: an answer, or why it is none."""

from ..json_schema import answer_fault
from ..types.causes import Cause
from ..types.messages import Request, Response, Stop

UNFIT = {
    Stop.SAFETY: Cause.SAFETY,
    Stop.REFUSAL: Cause.REFUSAL,
    Stop.BAD_TOOL_CALL: Cause.BAD_TOOL_CALL,
}
MEANING = {
    Cause.EMPTY: "the reply holds no text",
    Cause.THINKING_ONLY: "the whole output budget went to thinking",
    Cause.TRUNCATED: "the output limit cut the reply",
    Cause.SAFETY: "the vendor's filter blocked the reply",
    Cause.REFUSAL: "the model refused",
    Cause.BAD_TOOL_CALL: "the reply is a tool call, and no such tool was offered",
}


def judge(response: Response, request: Request | None = None) -> Cause | None:
    """Return why a response is not an answer, or None where it is one.

    request: what it answers; tool calls are an answer only where tools were offered.
    """
    if response.stop in UNFIT:
        return UNFIT[response.stop]
    if response.stop is Stop.TOOL_USE:
        offers = request is not None and bool(request.tools)
        return None if offers and response.tool_calls else Cause.BAD_TOOL_CALL
    blank = not response.text.strip()
    if response.stop is Stop.END and not blank and schema_fault(response, request):
        return Cause.BAD_SCHEMA
    if response.stop is Stop.LENGTH:
        return Cause.THINKING_ONLY if blank else Cause.TRUNCATED
    return Cause.EMPTY if blank else None


def schema_fault(response: Response, request: Request | None) -> str:
    """Return how a response violates the schema that was asked for, or ""."""
    if request is None or request.schema is None:
        return ""
    return answer_fault(request.schema, response.text, request.schema_is_part)
