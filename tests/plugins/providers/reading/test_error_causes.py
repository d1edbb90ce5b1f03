"""What errors mean, in the wordings of either vendor and of what stands between."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolecall import Cause, ProviderError
from rolecall_plugins.providers.anthropic_reply import ClaudeReply
from rolecall_plugins.providers.gemini_reply import GeminiReply
from rolecall_plugins.providers.reading.error_causes import classified
from rolecall_plugins.providers.reply_reader import Reading

# type, status, message: cause
ANTHROPIC = [
    # what a user or an organization may spend
    *(
        ("invalid_request_error", 400, message, Cause.QUOTA_EXHAUSTED)
        for message in (
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
            "Your credit balance is too low to access the Claude API.",
            "You have reached your specified API usage limits. You will regain access on "
            "2026-04-01 at 00:00 UTC.",
            "You have reached your specified workspace API usage limits. You will regain access "
            "on 2025-06-01 at 00:00 UTC.",
            "You have reached your organization's monthly spend limit.",
            "Your organization has exceeded its monthly spend limit.",
            "This workspace has reached its spend limit for the month.",
            "Spending limit reached for this workspace",
            "Your organisation has no credits left.",
            "Budget has been exceeded! Current cost: 5.1, Max budget: 5.0",
            "Your account is not active, please check your billing details.",
            "Third-party apps now draw from your extra usage, not your plan limits.",
        )
    ),
    *(
        ("rate_limit_error", 429, message, Cause.QUOTA_EXHAUSTED)
        for message in (
            "Extra usage is required for long context requests.",
            "Usage credits are required for long context requests.",
            "You've hit your monthly spend limit",
            "You're out of extra usage",
            "Number of request tokens has exceeded your daily rate limit "
            "(https://docs.anthropic.com/en/api/rate-limits); see the response headers.",
            "This request would exceed your organization's monthly usage limit.",
            "This request would exceed your organization's limit of 5,000,000 tokens per day.",
        )
    ),
    ("billing_error", 402, "Payment required.", Cause.QUOTA_EXHAUSTED),
    # what a minute's wait mends
    *(
        ("rate_limit_error", 429, message, Cause.RATE_LIMITED)
        for message in (
            "This request would exceed your organization's rate limit of 450,000 input tokens per "
            "minute (org: 1, model: claude-haiku-4-5-20251001). For details, refer to: "
            "https://docs.claude.com/en/api/rate-limits. You can see the response headers for "
            "current usage. Please reduce the prompt length or the maximum tokens requested, or "
            "try again later. To raise this limit, purchase credits to advance to the next usage "
            "tier at https://console.anthropic.com/settings/billing.",
            "Number of concurrent connections has exceeded your rate limit. Please try again later",
            "This request would exceed your account's rate limit. Please try again later.",
            "Number of requests has exceeded your per-minute rate limit",
            "Rate limited",
        )
    ),
    # who may not call any more
    *(
        ("invalid_request_error", 400, message, Cause.FORBIDDEN)
        for message in (
            "This organization has been disabled.",
            "Your organization has been disabled. Please contact support.",
            "Your account has been suspended.",
            "This workspace is archived.",
            "Your organisation has been deactivated.",
            "This credential is only authorized for use with another product and cannot be used.",
            "Access is not allowed from unsupported countries, regions, or territories.",
            "The account was temporarily suspended for a violation of our terms of service.",
        )
    ),
    ("permission_error", 403, "Your API key does not have permission.", Cause.FORBIDDEN),
    ("authentication_error", 401, "This organization has been disabled.", Cause.FORBIDDEN),
    # filters
    ("invalid_request_error", 400, "Output blocked by content filtering policy", Cause.SAFETY),
    ("api_error", 500, "Output blocked by content filtering policy", Cause.SAFETY),
    ("invalid_request_error", 400, "The response was blocked by our safety filter.", Cause.SAFETY),
    ("invalid_request_error", 400, "Your request was flagged under our usage policy", Cause.SAFETY),
    # too long
    *(
        ("invalid_request_error", 400, message, Cause.CONTEXT_OVERFLOW)
        for message in (
            "prompt is too long: 208310 tokens > 200000 maximum",
            "prompt is too long",
            "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease "
            "input length or `max_tokens` and try again",
            "messages: too many total text bytes: 10485762 > 9000000",
            "Input is too long for requested model.",
            "Request exceeds the maximum allowed number of bytes. The maximum is 32 MB",
            "The long context beta is not yet available for this subscription.",
            "The request exceeds the maximum size",
            "Prompt exceeds the model's context window",
            "This model's maximum context length is 200000 tokens, but you sent 200001.",
            "Request too large",
            "The total number of tokens in the conversation exceeds the limit",
            "system: text is too long",
        )
    ),
    ("request_too_large", 413, "Request exceeds the maximum size", Cause.CONTEXT_OVERFLOW),
    # models
    ("not_found_error", 404, "model: claude-3-5-sonnet-latest", Cause.UNKNOWN_MODEL),
    *(
        ("invalid_request_error", 400, message, Cause.UNKNOWN_MODEL)
        for message in (
            "The model claude-2.0 has been deprecated and is no longer available",
            "model: claude-x does not exist",
            '"claude-1" is not a valid model',
            "The requested model is not supported",
            "model_not_found",
        )
    ),
    # keys
    ("authentication_error", 401, "invalid x-api-key", Cause.AUTH),
    ("invalid_request_error", 400, "API key is invalid.", Cause.AUTH),
    # busy
    ("overloaded_error", 529, "Overloaded", Cause.OVERLOADED),
    ("api_error", 500, "Internal server error", Cause.SERVER_ERROR),
    ("timeout_error", 504, "Request timed out", Cause.TIMEOUT),
    # and what is wrong with the request alone
    *(
        ("invalid_request_error", 400, message, Cause.INVALID_REQUEST)
        for message in (
            "messages.0.content.1.image.source: Input tag 'file' found using 'type' does not match "
            "any of the expected tags: 'base64', 'url'",
            "Unable to download the file. Please verify the URL and try again.",
            "messages.0: all messages must have non-empty content except for the optional final "
            "assistant message",
            "Schemas contains too many parameters with union types (17 parameters with type arrays "
            "or anyOf). This causes exponential compilation cost. Reduce the number of nullable or "
            "union-typed parameters (limit: 16 parameters with unions).",
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            "documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
            "#max-tokens-and-context-window-size",
            "max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for "
            "claude-sonnet-4-5",
            "This model does not support effort level 'xhigh'. Supported levels: high, low, max.",
            "container: Input should be a valid string",
            "tools.0.custom.input_schema.type: Input should be 'object'",
            "messages.3: `tool_use` ids were found without `tool_result` blocks immediately after",
            'messages.1: the text "Your credit balance is too low, so this organization has been '
            'disabled and the prompt is too long" is not allowed here',
        )
    ),
]
GEMINI = [
    *(
        ("RESOURCE_EXHAUSTED", 429, message, Cause.QUOTA_EXHAUSTED)
        for message in (
            "Your prepayment credits are depleted. Please go to AI Studio to manage your project "
            "and billing.",
            "Your project has exceeded its monthly spending cap. Please go to AI Studio at "
            "https://ai.studio/spend to manage your project spend cap.",
            "Your project exceeded its spend cap.",
            "You exceeded your current quota, please check your plan and billing details.\n* Quota "
            "exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_"
            "requests, limit: 0, model: gemini-3-pro\nPlease retry in 11.665902715s.",
            "You have exhausted your capacity on this model. Your quota will reset after 5h59m59s.",
            "Insufficient credits",
            "Your prepaid balance has been used up.",
            "Quota exceeded for quota metric 'Generate Content API requests per day'",
            "You have reached your daily quota",
        )
    ),
    *(
        ("PERMISSION_DENIED", 403, message, Cause.QUOTA_EXHAUSTED)
        for message in (
            "This API method requires billing to be enabled. Please enable billing on project "
            "#4711 by visiting https://console.developers.google.com/billing",
            "The billing account for the owning project is disabled in state absent",
            "Billing is disabled for this project.",
        )
    ),
    (
        "FAILED_PRECONDITION",
        400,
        "Gemini API free tier is not available in your country. Please enable billing on your "
        "project in Google AI Studio.",
        Cause.QUOTA_EXHAUSTED,
    ),
    (
        "FAILED_PRECONDITION",
        400,
        "User location is not supported for the API use.",
        Cause.FORBIDDEN,
    ),
    *(
        ("PERMISSION_DENIED", 403, message, Cause.FORBIDDEN)
        for message in (
            "Permission denied: Consumer 'api_key:AIza-fake' has been suspended.",
            "Your project has been denied access. Please contact support.",
            "This service has been disabled in this account for violation of\n\t\tTerms.",
            "Generative Language API has not been used in project 4711 before or it is disabled.",
            "The caller does not have permission",
            "User location is not supported for the API use.",
            "Gemini is not available in your country",
        )
    ),
    *(
        ("RESOURCE_EXHAUSTED", 429, message, Cause.RATE_LIMITED)
        for message in (
            "Resource exhausted. Please try again later. Please refer to "
            "https://cloud.google.com/vertex-ai/docs/error-code-429 for more details.",
            "Resource has been exhausted (e.g. check quota).",
            "You exceeded your current quota, please check your plan and billing details. For more "
            "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits."
            " To monitor your current usage, head to: https://ai.dev/rate-limit. \n* Quota exceeded"
            " for metric: generativelanguage.googleapis.com/generate_content_paid_tier_input_token"
            "_count, limit: 1000000, model: gemini-2.5-flash\nPlease retry in 47.941445783s.",
        )
    ),
    ("PERMISSION_DENIED", 403, "Rate Limit Exceeded", Cause.RATE_LIMITED),
    ("RESOURCE_EXHAUSTED", 429, "No capacity available for model on the server", Cause.OVERLOADED),
    ("UNAVAILABLE", 503, "The model is overloaded. Please try again later.", Cause.OVERLOADED),
    ("INTERNAL", 500, "An internal error has occurred.", Cause.SERVER_ERROR),
    *(
        ("INVALID_ARGUMENT", 400, message, Cause.CONTEXT_OVERFLOW)
        for message in (
            "The input token count (2845475) exceeds the maximum number of tokens allowed (9).",
            "Unable to submit request because the input token count is 40000 but the model only "
            "supports up to 32768. Reduce the input token count and try again.",
            "Request payload size exceeds the limit: 20971520 bytes.",
            "Request contains text fields that are too large",
            "The request is too large.",
        )
    ),
    *(
        ("INVALID_ARGUMENT", 400, message, Cause.AUTH)
        for message in (
            "API key not valid. Please pass a valid API key.",
            "API key expired. Please renew the API key.",
            "API Key not found. Please pass a valid API key.",
        )
    ),
    (
        "PERMISSION_DENIED",
        403,
        "Your API key was reported as leaked. Please use another API key.",
        Cause.AUTH,
    ),
    (
        "PERMISSION_DENIED",
        403,
        "Method doesn't allow unregistered callers (callers without established identity).",
        Cause.MISSING_KEY,
    ),
    *(
        ("NOT_FOUND", 404, message, Cause.UNKNOWN_MODEL)
        for message in (
            "models/gemini-1.0-pro is not found for API version v1beta, or is not supported for "
            "generateContent.",
            "This model models/gemini-2.5-flash is no longer available to new users.",
            "Gemini 1.0 Pro Vision has been deprecated on July 12, 2024. Consider switching to "
            "different model, for example gemini-1.5-flash.",
        )
    ),
    (
        "INVALID_ARGUMENT",
        400,
        "* GenerateContentRequest.model: unexpected model name format",
        Cause.UNKNOWN_MODEL,
    ),
    *(
        ("INVALID_ARGUMENT", 400, message, Cause.INVALID_REQUEST)
        for message in (
            "Duplicate function declaration found: echo",
            "Penalty is not enabled for models/gemini-2.5-flash",
            "Request contains an invalid argument.",
            "Function calling with a response mime type: 'application/json' is unsupported",
            "Unable to submit request because it has a maxOutputTokens value of 100000 but the "
            "supported range is from 1 (inclusive) to 65537 (exclusive).",
            "The document has no pages.",
        )
    ),
]


def claude_error(kind: str, status: int, message: str) -> ProviderError:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return ClaudeReply().error(status, {}, body, "")


def gemini_error(word: str, status: int, message: str, **more: object) -> ProviderError:
    error = {"code": status, "message": message, "status": word, **more}
    return GeminiReply().error(status, {}, {"error": error}, "")


@pytest.mark.parametrize(("kind", "status", "message", "cause"), ANTHROPIC)
def test_an_error_of_anthropic_means_what_it_says(
    kind: str, status: int, message: str, cause: Cause
) -> None:
    assert claude_error(kind, status, message).cause == cause


@pytest.mark.parametrize(("kind", "status", "message", "cause"), ANTHROPIC)
def test_an_error_within_a_stream_means_what_it_says(
    kind: str, status: int, message: str, cause: Cause
) -> None:
    event = {"type": "error", "error": {"type": kind, "message": message, "details": None}}
    reading = Reading(ClaudeReply(), 200, {"content-type": "text/event-stream"})
    reading.feed(f"event: error\ndata: {json.dumps(event)}\n\n".encode())
    with pytest.raises(ProviderError) as caught:
        reading.finish()
    assert caught.value.cause == cause


@pytest.mark.parametrize(("word", "status", "message", "cause"), GEMINI)
def test_an_error_of_gemini_means_what_it_says(
    word: str, status: int, message: str, cause: Cause
) -> None:
    assert gemini_error(word, status, message).cause == cause


@pytest.mark.parametrize(("word", "status", "message", "cause"), GEMINI)
@pytest.mark.parametrize("code", [True, False])
def test_an_error_within_a_stream_of_gemini_means_what_it_says(
    word: str, status: int, message: str, cause: Cause, code: bool
) -> None:
    error = {"message": message, "status": word} | ({"code": status} if code else {})
    reading = Reading(GeminiReply(), 200, {})
    reading.feed(f"data: {json.dumps({'error': error})}\r\n\r\n".encode())
    with pytest.raises(ProviderError) as caught:
        reading.finish()
    assert caught.value.cause == cause


@pytest.mark.parametrize(
    ("quota", "size", "cause"),
    [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "250", Cause.QUOTA_EXHAUSTED),
        ("GenerateContentInputTokensPerModelPerMonth", "9", Cause.QUOTA_EXHAUSTED),
        ("generate_requests_per_day", "9", Cause.QUOTA_EXHAUSTED),
        ("GenerateContentRequestsPerMinutePerProjectPerRegion", "0", Cause.QUOTA_EXHAUSTED),
        ("GenerateContentRequestsPerMinutePerProjectPerRegion", 0, Cause.QUOTA_EXHAUSTED),
        ("GenerateContentPaidTierInputTokensPerModelPerMinute", "1000000", Cause.RATE_LIMITED),
        ("GenerateContentRequestsPerHour", "60", Cause.RATE_LIMITED),
        (None, None, Cause.RATE_LIMITED),
        (7, [], Cause.RATE_LIMITED),
    ],
)
def test_the_id_of_a_quota_tells_a_minute_from_a_day(
    quota: object, size: object, cause: Cause
) -> None:
    violations = [{"quotaId": quota, "quotaValue": size}]
    error = gemini_error("RESOURCE_EXHAUSTED", 429, "", details=[{"violations": violations}])
    assert error.cause == cause
    metadata = {"quota_limit": quota, "quota_limit_value": size}
    error = gemini_error("RESOURCE_EXHAUSTED", 429, "", details=[{"metadata": metadata}])
    assert error.cause == cause


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("API_KEY_INVALID", Cause.AUTH),
        ("CONSUMER_SUSPENDED", Cause.FORBIDDEN),
        ("BILLING_DISABLED", Cause.QUOTA_EXHAUSTED),
        ("NEW_TO_US", Cause.INVALID_REQUEST),
    ],
)
def test_a_reason_says_more_than_a_status(reason: str, cause: Cause) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    assert gemini_error("INVALID_ARGUMENT", 400, "", details=details).cause == cause


@pytest.mark.parametrize(
    ("code", "word", "cause"),
    [
        (429, "", Cause.RATE_LIMITED),
        (8, "", Cause.RATE_LIMITED),
        ("RESOURCE_EXHAUSTED", "", Cause.RATE_LIMITED),
        ("429", "", Cause.RATE_LIMITED),
        (None, "UNAVAILABLE", Cause.OVERLOADED),
        ("overloaded", "", Cause.SERVER_ERROR),
        ([429], {"a": 1}, Cause.SERVER_ERROR),
        (1e400, "", Cause.SERVER_ERROR),
        (-1, "", Cause.SERVER_ERROR),
    ],
)
def test_the_code_of_an_error_within_a_stream_may_be_of_any_kind(
    code: object, word: object, cause: Cause
) -> None:
    body = {"error": {"code": code, "status": word, "message": "no"}}
    assert GeminiReply().error(0, {}, body, "").cause == cause


@pytest.mark.parametrize("reply", [ClaudeReply, GeminiReply])
@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (400, Cause.INVALID_REQUEST),
        (401, Cause.AUTH),
        (402, Cause.QUOTA_EXHAUSTED),
        (403, Cause.FORBIDDEN),
        (404, Cause.UNKNOWN_MODEL),
        (408, Cause.TIMEOUT),
        (413, Cause.CONTEXT_OVERFLOW),
        (418, Cause.INVALID_REQUEST),
        (429, Cause.RATE_LIMITED),
        (500, Cause.SERVER_ERROR),
        (503, Cause.OVERLOADED),
        (504, Cause.TIMEOUT),
        (520, Cause.SERVER_ERROR),
        (529, Cause.OVERLOADED),
        (599, Cause.SERVER_ERROR),
    ],
)
def test_a_page_of_a_proxy_goes_by_its_status(
    reply: type[ClaudeReply | GeminiReply], status: int, cause: Cause
) -> None:
    page = "<html><h1>Your credit balance is too low</h1></html>"
    error = reply().error(status, {}, None, page)
    assert (error.cause, error.status) == (cause, status)
    assert page in str(error)


def test_an_error_that_a_gateway_wrapped_in_its_own_is_found() -> None:
    inner = {"error": {"code": 429, "message": "limit: 0", "status": "RESOURCE_EXHAUSTED"}}
    outer = {"error": {"code": 429, "message": json.dumps(inner), "status": "Too Many Requests"}}
    error = GeminiReply().error(429, {}, outer, "")
    assert error.cause == Cause.QUOTA_EXHAUSTED
    assert "RESOURCE_EXHAUSTED: limit: 0" in str(error)


@pytest.mark.parametrize(
    "body", [{"error": "prompt is too long"}, {"message": "prompt is too long"}]
)
@pytest.mark.parametrize("reply", [ClaudeReply, GeminiReply])
def test_an_error_in_a_gateways_own_form_is_read(
    reply: type[ClaudeReply | GeminiReply], body: dict[str, str]
) -> None:
    assert reply().error(400, {}, body, "").cause == Cause.CONTEXT_OVERFLOW


@given(st.text(), st.sampled_from(list(Cause)))
def test_any_message_means_something(message: str, cause: Cause) -> None:
    assert classified(cause, message) in Cause
