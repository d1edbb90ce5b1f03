"""Why a call failed, by what an error says.

Vendors put different failures under one status and type, so the message decides between them. Only
the message of an error object is read, never what a model wrote, and of it nothing that is quoted
at length.
"""

import re
from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from rolecall import Cause, provider_error

# The causes that a status or type stands for where the message may know better.
_REFUSED: Final = frozenset(
    {
        Cause.INVALID_REQUEST,
        Cause.AUTH,
        Cause.FORBIDDEN,
        Cause.UNKNOWN_MODEL,
        Cause.RATE_LIMITED,
        Cause.QUOTA_EXHAUSTED,
    }
)
_REJECTED: Final = frozenset({Cause.INVALID_REQUEST, Cause.AUTH, Cause.FORBIDDEN})
_TOO_MUCH: Final = frozenset({Cause.INVALID_REQUEST, Cause.CONTEXT_OVERFLOW})
_BUSY: Final = frozenset({Cause.RATE_LIMITED, Cause.SERVER_ERROR, Cause.OVERLOADED})


def _wording(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.VERBOSE)


@frozen
class Rule:
    """What a wording means; it counts where the status alone stands for one of `among`."""

    cause: Cause
    among: frozenset[Cause]
    wording: re.Pattern[str] = field(converter=_wording)


# Read from the top, the first that fits counts. [^.;]{0,n} stays within a sentence; a dot in a
# number or a name ends one as well, which does no harm.
#
# Where the wordings come from: R recorded traffic; P reports of users; D the documents at
# docs.anthropic.com/en/api (errors, rate-limits) and ai.google.dev/gemini-api/docs
# (troubleshooting, rate-limits, billing).
RULES: tuple[Rule, ...] = (
    # P  Output blocked by content filtering policy (400, and within a stream)
    Rule(
        Cause.SAFETY,
        _REFUSED | {Cause.SERVER_ERROR},
        r"""\bcontent[ -]filter
        | \b(output|response|completion|prompt|content|request|input)\b [^.;]{0,40}
          \b(blocked|filtered|flagged|rejected)\b [^.;]{0,40}
          \b(safety|moderation|filter|prohibited|(content|usage|acceptable\ use) \s+ polic)
        | \bviolat\w+ [^.;]{0,60} \b((usage|content|safety|acceptable\ use) \s+ polic
          |responsible\ ai)""",
    ),
    # R  API key not valid. Please pass a valid API key.   R  invalid x-api-key
    # P  API key expired. Please renew the API key.
    # P  Your API key was reported as leaked. Please use another API key.
    Rule(
        Cause.AUTH,
        _REJECTED,
        r"""\bapi[ _-]?key\b [^.;]{0,40} \b(not\ valid|not\ found|invalid|expired|leaked|revoked
          |disabled|deleted|deactivated|compromised|unknown|malformed)
        | \b(invalid|expired|incorrect|malformed|unknown) \s+ (x-)?api[ _-]?key\b""",
    ),
    # P  This API method requires billing to be enabled.
    # P  The billing account for the owning project is disabled in state absent
    # D  … Please enable billing on your project in Google AI Studio.
    # P  User location is not supported for the API use without a billing account linked.
    Rule(
        Cause.QUOTA_EXHAUSTED,
        _REFUSED,
        r"""\bbilling\b [^.;]{0,80} \b(disabled|not\ enabled|to\ be\ enabled|not\ (active|open)
          |inactive|closed|suspended|absent|delinquent|past\ due|not\ linked)
        | \b(enable|activate|set\ ?up|without\ (an?\ )?(active\ )?) \s* billing\b
        | \bnot\ active [^.;]{0,40} \bbilling\b
        | \bpayment\ (is\ )?(required|overdue|failed|past\ due)""",
    ),
    # P  This organization has been disabled. (400)
    # P  Permission denied: Consumer '…' has been suspended.
    # P  Your project has been denied access. Please contact support.
    # P  This service has been disabled in this account for violation of Terms of Service.
    # R  Generative Language API has not been used in project … before or it is disabled.
    # P  This credential is only authorized for use with …   P  User location is not supported …
    Rule(
        Cause.FORBIDDEN,
        _REFUSED,
        r"""\b(organi[sz]ation|workspace|project|account|consumer|service)s?\b .{0,90}
          \b(is|was|are|were|been) \s+ ((temporarily|permanently|currently)\s+)?
          (disabled|suspended|deactivated|banned|blocked|denied|restricted|terminated|closed
          |locked|archived)\b
        | \b(disabled|suspended) \s+ (organi[sz]ation|workspace|project|account)\b
        | \b(disabled|suspended)\b [^.;]{0,40} \bterms\ of\ service
        | \bcredentials?\ (is|are)\ only\ authorized
        | \blocation\ is\ not\ supported
        | \bnot\ (available|allowed|supported) [^.;]{0,30} \b(countr|region|territor)""",
    ),
    # P  You have reached your specified API usage limits. You will regain access on … (400; also
    #    "workspace API usage limits")
    # D  Your project has exceeded its monthly spending cap.
    # P  You've hit your monthly spend limit   P  … has exceeded your daily rate limit
    Rule(
        Cause.QUOTA_EXHAUSTED,
        _REFUSED,
        r"""\b(reached|exceed(s|ed)?|exceeding|hit|over|used\ up|exhausted) \s [^.;]{0,60}
          \b(usage|spend|spending|spent|monthly|weekly|daily|budget|billing|credit) \s
          [^.;]{0,30} \b(limit|cap|quota|budget|allowance)
        | \b(usage|spend|spending|monthly|weekly|daily|budget|billing|credit) \s+
          ([^\s.;]+\s+){0,2} (limit|cap|quota|budget)s? \b [^.;]{0,40}
          \b(reached|exceeded|exhausted|hit|used\ up)
        | \bregain\ access\ on\b
        | \bexceed\w* [^.;]{0,80} \b(per|a|each)[ -](day|week|month)\b
        | \bexhausted\ your\ (capacity|quota|credits)
        | \bbudget\ (has\ been|is|was)\ exceeded""",
    ),
    # R  Your credit balance is too low to access the Anthropic API.
    # D  Your prepayment credits are depleted.
    # P  Extra usage is required for long context requests. (429; also "Usage credits are required")
    # P  You're out of extra usage   R  limit: 0 (of a quota that a plan does not have)
    Rule(
        Cause.QUOTA_EXHAUSTED,
        _REFUSED,
        r"""\b(credit|prepay|prepaid|prepayment|account)s? \s+ (balance|credit|fund)s?\b [^.;]{0,40}
          \b(low|depleted|exhausted|insufficient|empty|negative|expired|used\ up|run\ out)
        | \bcredits?\b [^.;]{0,30} \b(depleted|exhausted|used\ up|required|expired|run\ out
          |ran\ out|too\ low|insufficient)
        | \b(insufficient|not\ enough|no\ (more|remaining)|out\ of) \s+ ([^\s.;]+\s+){0,2}
          (credit|fund|balance|quota|usage)s?\b
        | \bno\ credits?\b
        | \bextra\ usage\ (is|are)\ required
        | \bdraws?\ from\ your\ extra\ usage
        | \blimit:\ 0\b""",
    ),
    # R  prompt is too long: 208310 tokens > 200000 maximum
    # P  input length and `max_tokens` exceed context limit: …
    # P  too many total text bytes: … > …   D  Request exceeds the maximum allowed number of bytes
    # R  The input token count (…) exceeds the maximum number of tokens allowed (…).
    # P  … the input token count is … but the model only supports up to …
    # P  Request payload size exceeds the limit: … bytes
    # P  Request contains text fields that are too large
    # P  The long context beta is not yet available for this subscription.
    Rule(
        Cause.CONTEXT_OVERFLOW,
        _TOO_MUCH,
        r"""\b(prompt|input|request|conversation|message|content|text|payload|body|context
          |field)s?\b [^.;]{0,60} \b(is|are) \s+ too \s+ (long|large|big)\b
        | \btoo\ (many|much) \s+ ([^\s.;]+\s+){0,3} (byte|token|character)s?\b
        | \b(prompt|input|request|payload|body|entity)\ too\ (long|large|big)\b
        | \btoo\ (long|large)\ for\b [^.;]{0,40} \b(model|context)
        | \b(exceed\w*|larger\ than|longer\ than|over|beyond|greater\ than) [^.;]{0,60}
          \b(context \s (limit|window|length|size)
          |max\w* \s ([^\s.;]+\s+){0,4} (context|token|byte|prompt|input|request|size|length)s?
          |(token|size|byte|length) \s limit)
        | \b(request|payload|body|prompt|input|content|message) \s+ (payload\s+)?
          (size|length|tokens?)\b [^.;]{0,40} \bexceed
        | \b(tokens|bytes|characters)\b [^.;]{0,40} \bexceed
        | \bmaximum\ context\ length\b
        | \btoken\ count\b .{0,80} \b(exceeds|only\ supports\ up\ to)
        | \bcontext[ _](length|window|size)s?[ _] (is\s+)? exceeded
        | \blong\ context\b [^.;]{0,60} \bnot\ (yet\ )?available""",
    ),
    # R  models/… is not found for API version v1beta, or is not supported for generateContent.
    # P  This model models/… is no longer available to new users.
    # P  Gemini 1.0 Pro Vision has been deprecated on July 12, 2024. Consider switching …
    # P  Publisher Model … was not found or your project does not have access to it.
    # P  unexpected model name format
    Rule(
        Cause.UNKNOWN_MODEL,
        _REJECTED | {Cause.UNKNOWN_MODEL},
        r"""\bmodels?\b .{0,120} \b(not\ found|does\ not\ exist|doesn't\ exist
          |no\ longer\ (available|supported|served)|end[ -]of[ -]life
          |(been|is|was)\ (deprecated|retired|discontinued|shut\ ?down|decommissioned|removed
          |sunset))
        | \b(unknown|invalid|unexpected|unrecognized|unsupported|no\ such) \s+ model\b
        | \bmodels? [ :/'"`]+ \S+ \s is\ not\ (supported|available|valid)
        | \b(this|the|requested|specified)\ model\ is\ not\ (supported|available|valid)
        | \bmodel_not_found\b
        | \bnot\ a\ valid\ model
        | \b(been|is|was)\ (deprecated|retired|discontinued) .{0,80}
          \b(switch|migrat|different|newer)""",
    ),
    # P  Rate limit exceeded; Too many requests (with a status that says something else)
    Rule(
        Cause.RATE_LIMITED,
        _REJECTED,
        r"\brate[ _-]?limit[ _]?exceeded | \btoo\ many\ requests\b | \bquota\ exceeded\b",
    ),
    # R  The model is overloaded. Please try again later.
    # P  No capacity available for model … on the server (429)
    # P  This model is currently experiencing high demand.
    Rule(
        Cause.OVERLOADED,
        _BUSY,
        r"""\bno\ capacity\ (is\ )?available
        | \b(model|server|service|system|engine|we)s?\b [^.;]{0,40}
          \b(overloaded|at\ capacity|(experiencing|under)\ (high|heavy) \s
          (demand|load|traffic))""",
    ),
)

_READ = 4096  # characters of a message
_QUOTED = re.compile(r'"[^"]*"|`[^`]*`|“[^”]*”')
_AT_LENGTH = 60


def by_status(status: int) -> Cause:
    """Return what a status means by itself."""
    return Cause(provider_error(status, {}, "").cause)


def classified(cause: Cause, message: str, rules: Iterable[Rule] = RULES) -> Cause:
    """Return what a message means; where no rule fits, the cause that its status stands for."""
    words = " ".join(message[:_READ].replace("’", "'").split())
    unquoted = _QUOTED.sub(lambda quoted: quoted[0] if len(quoted[0]) < _AT_LENGTH else "…", words)
    for rule in rules:
        if cause in rule.among and rule.wording.search(unquoted):
            return rule.cause
    return cause
