"""The 13 agents: who they are, where they run first, and whose deliverables they need."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rolecall import hookimpl

if TYPE_CHECKING:
    from rolecall import Agent

CLAUDE = ("claude",)  # complex reasoning
GEMINI = ("gemini", "claude")  # information processing

INTENT = "operator-intent-interpreter"
ORCHESTRATOR = "project-orchestrator"
RESEARCH = "research-analyst"
FEATURES = "feature-analyst"
ARCHITECT = "solution-architect"
SECURITY = "security-architecture-specialist"
DATABASE = "database-architecture-specialist"
FRONTEND = "frontend-architecture-specialist"
INFRASTRUCTURE = "infrastructure-specialist"
IMPLEMENTER = "code-implementer"
QUALITY = "quality-assurance"
WRITER = "technical-writer"
COORDINATOR = "plan-update-coordinator"
SPECIALISTS = (SECURITY, DATABASE, FRONTEND, INFRASTRUCTURE)

# Tools of the workspace. Who does not stand in TOOLS works before there is anything in it.
READ = ("workspace.list", "workspace.read", "workspace.search")
WRITE = ("workspace",)
TOOLS = {
    ARCHITECT: READ,
    SECURITY: READ,
    DATABASE: WRITE,
    INFRASTRUCTURE: WRITE,
    IMPLEMENTER: WRITE,
    QUALITY: WRITE,
    WRITER: WRITE,
    COORDINATOR: READ,
}

# name, routes, needs, goal
TABLE = (
    (INTENT, GEMINI, (), "say what is wanted, by whom, and what was left open"),
    (ORCHESTRATOR, CLAUDE, (INTENT,), "cut the work into streams with a scope and gates"),
    (RESEARCH, GEMINI, (INTENT,), "lay out the options for every open technical choice"),
    (FEATURES, GEMINI, (INTENT,), "number the features, with criteria that can be tested"),
    (ARCHITECT, CLAUDE, (ORCHESTRATOR, RESEARCH, FEATURES), "decide the system's shape"),
    (SECURITY, GEMINI, (ARCHITECT,), "find the threats, and the measure against each"),
    (DATABASE, GEMINI, (ARCHITECT,), "design schema, indexes and migrations"),
    (FRONTEND, GEMINI, (ARCHITECT, FEATURES), "design what the users see and touch"),
    (INFRASTRUCTURE, GEMINI, (ARCHITECT,), "say how it is built, deployed and watched"),
    (IMPLEMENTER, CLAUDE, (ARCHITECT, *SPECIALISTS), "build the product, and its checks"),
    (QUALITY, CLAUDE, (FEATURES, IMPLEMENTER), "review the code and add the tests it lacks"),
    (WRITER, GEMINI, (FEATURES, ARCHITECT, IMPLEMENTER), "write what users and operators read"),
    (COORDINATOR, CLAUDE, ("*",), "say what there is, what is open and what comes next"),
)


@hookimpl
def rolecall_agents() -> "Iterable[Agent]":
    from rolecall import Agent

    prompts = Path(__file__).with_name("prompts")
    shared = prompts.joinpath("_team.md").read_text("utf-8")
    for name, routes, needs, goal in TABLE:
        own = prompts.joinpath(f"{name}.md").read_text("utf-8")
        yield Agent(
            name=name,
            title=name.replace("-", " ").title(),
            goal=goal,
            prompt=own,
            shared=shared,
            routes=routes,
            needs=needs,
            plan=name == COORDINATOR,
            tools=TOOLS.get(name, ()),
            verify=name == IMPLEMENTER,
            tier="complex" if routes == CLAUDE else "",
        )
