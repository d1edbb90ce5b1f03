"""What rolecall itself writes at the head of a plan: how to start what there is, what was verified.

No model writes any of it, and what claims in a plan to be of it is taken out.
"""

import re
from collections.abc import Sequence

from ...types.events import WorkspaceVerified
from ...types.verification import Registration
from ..verification import check_line, verdict

BEGIN, END = "<!-- written by rolecall -->", "<!-- end of rolecall's words -->"
TITLE = "Start here"
REPLAYED = "This was replayed from a recording, not run: the checks ran when that was made."
FOLDER = "../program"  # that the page's commands hand the files out to
# Runs of earlier versions have other marks.
_OWN = re.compile(r"<!-- (?:written|verified) by rolecall -->.*?(?:<!-- end of [^>]*-->|\Z)", re.S)
_MARK = re.compile(r"<!-- (?:(?:written|verified) by rolecall|end of [^>]*) -->")


def headed(plan: str, head: str) -> str:
    """Return a plan with the head below its title, in place of any that it claims to have."""
    plan = _MARK.sub("", _OWN.sub("", plan)).strip()
    if not head:
        return plan
    title, _, rest = plan.partition("\n")
    own = f"{BEGIN}\n{head}\n{END}"
    if not title.startswith("# "):
        return f"{own}\n\n{plan}"
    return f"{title}\n\n{own}\n\n{rest.strip()}".strip()


def split_head(plan: str) -> tuple[str, str]:
    """Return the head of a plan without its title, "" where it has none, and the rest."""
    before, begun, rest = plan.partition(f"{BEGIN}\n")
    head, ended, after = rest.partition(END)
    if not begun or not ended:
        return "", plan
    return head.partition("\n\n")[2].strip(), before + after.lstrip()


def write_head(
    registered: Registration, verifications: Sequence[WorkspaceVerified], tree: str, why_not: str
) -> str:
    """Write the head of a plan whose files are those of a tree.

    registered: the checks that count, and how the program is started. why_not: why nothing could
    be verified, where that is so.
    """
    commands = [f"rolecall files . -o {FOLDER}", f"cd {FOLDER}", *registered.checks]
    commands += filter(None, [registered.start])
    *first, last = (
        ["hand out the files"]
        + ["check them"] * bool(registered.checks)
        + ["start the program"] * bool(registered.start)
    )
    does = f"{', '.join(first)} and {last}" if first else last
    lines = [
        f"## {TITLE}",
        "",
        f"In the folder of this page these commands {does}:",
        "",
        *(f"    {command}" for command in commands),
        "",
        *_verified(verifications, tree, why_not),
    ]
    return "\n".join(lines)


def _verified(verifications: Sequence[WorkspaceVerified], tree: str, why_not: str) -> Sequence[str]:
    if not verifications:
        return [f"**Not verified:** {why_not}."]
    last = verifications[-1]
    lines = [f"- {check_line(check)}" for check in last.checks]
    since = ["", "The files have changed since, and were not verified again."]
    return [
        f"**Verified by rolecall:** {verdict(verifications)}",
        "",
        *lines,
        *(["", REPLAYED] if last.replayed else []),
        *(since if last.tree != tree else []),
    ]
