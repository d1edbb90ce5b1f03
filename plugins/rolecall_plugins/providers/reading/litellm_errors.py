"""What went wrong with a call whose reply litellm alone reads.

litellm makes its own status and type of what a vendor said: so an error's reply is read for itself,
and litellm's error counts only where there is no such reply.
"""

import json
from collections.abc import Mapping

from rolecall import Cause, ProviderError

from ..reply_reader import UnreadReply
from .error_bodies import bounded_message
from .error_causes import classified
from .openai_errors import openai_error

# Of AWS, in the header x-amzn-errortype and in the events of a stream.
# Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
BY_AWS_TYPE: Mapping[str, Cause] = {
    "ThrottlingException": Cause.RATE_LIMITED,
    "ServiceQuotaExceededException": Cause.QUOTA_EXHAUSTED,
    "ModelTimeoutException": Cause.TIMEOUT,
    "ModelNotReadyException": Cause.OVERLOADED,
    "ModelErrorException": Cause.SERVER_ERROR,
    "ModelStreamErrorException": Cause.SERVER_ERROR,
    "InternalServerException": Cause.SERVER_ERROR,
    "ServiceUnavailableException": Cause.OVERLOADED,
    "ResourceNotFoundException": Cause.UNKNOWN_MODEL,
    "UnrecognizedClientException": Cause.AUTH,
    "InvalidSignatureException": Cause.AUTH,
    "ExpiredTokenException": Cause.AUTH,
    "AccessDeniedException": Cause.FORBIDDEN,
}
# litellm's errors by their class, and the causes that the message may know better.
# Source: https://docs.litellm.ai/docs/exception_mapping
BY_CLASS: Mapping[str, Cause] = {
    "AuthenticationError": Cause.AUTH,
    "PermissionDeniedError": Cause.FORBIDDEN,
    "NotFoundError": Cause.UNKNOWN_MODEL,
    "RateLimitError": Cause.RATE_LIMITED,
    "ContextWindowExceededError": Cause.CONTEXT_OVERFLOW,
    "ContentPolicyViolationError": Cause.SAFETY,
    "ServiceUnavailableError": Cause.OVERLOADED,
    "BadGatewayError": Cause.OVERLOADED,
    "InternalServerError": Cause.SERVER_ERROR,
    "APIConnectionError": Cause.CONNECTION,
    "Timeout": Cause.TIMEOUT,
    "JSONSchemaValidationError": Cause.BAD_PAYLOAD,
    "APIResponseValidationError": Cause.BAD_PAYLOAD,
}


def unread_error(reply: UnreadReply) -> ProviderError:
    """Read an error's reply in a format of no vendor that is read exactly."""
    try:
        payload: object = json.loads(reply.beginning)
    except (ValueError, RecursionError):
        payload = None
    error = openai_error(reply.status, reply.headers, payload, reply.beginning)
    kind = reply.headers.get("x-amzn-errortype", "").partition(":")[0]
    if kind in BY_AWS_TYPE and error.cause in _BY_STATUS_ALONE:
        error.cause = BY_AWS_TYPE[kind]
    return error


_BY_STATUS_ALONE = frozenset(
    {
        Cause.INVALID_REQUEST,
        Cause.RATE_LIMITED,
        Cause.SERVER_ERROR,
        Cause.OVERLOADED,
        Cause.FORBIDDEN,
        Cause.TIMEOUT,
        Cause.UNKNOWN_MODEL,
    }
)


def litellm_error(error: Exception, begun: bool) -> ProviderError:
    """Read one of litellm's own errors.

    begun: whether a reply began that was a success; what is wrong then is wrong with the reply.
    """
    error = getattr(error, "original_exception", None) or error
    words = str(error)
    names = [kind.__name__ for kind in type(error).__mro__]
    cause = next((BY_CLASS[name] for name in names if name in BY_CLASS), Cause.INVALID_REQUEST)
    said = words.lower()
    named = next((BY_AWS_TYPE[kind] for kind in BY_AWS_TYPE if kind.lower() in said), None)
    if begun:
        broken = cause in (Cause.CONNECTION, Cause.INVALID_REQUEST)
        cause = named or (Cause.BAD_PAYLOAD if broken else cause)
    else:
        cause = classified(named or cause, words)
        if cause is Cause.INVALID_REQUEST:
            words = f"litellm refused to send the request: {words}"
    return ProviderError(cause, bounded_message(" ".join(words.split())))
