"""Where the commands of a run are carried out."""

from attrs import frozen

from ..config.settings import Settings
from ..errors import SettingsError, UsageError, nearest
from ..types.tools import Sandbox
from .manager import Host, supplied

UNCONFINED = "none"


@frozen
class PickedSandbox:
    """The sandbox of a run; without one, `why` says what each would need."""

    sandbox: Sandbox | None
    why: str = ""


def pick_sandbox(host: Host, settings: Settings) -> PickedSandbox:
    """Pick the sandbox that the settings name, else the first that works on this machine.

    One that confines nothing is picked by its name alone, or where what runs is no model's, nor
    anybody's cassette. Raises SettingsError for an unknown name, UsageError where it does not work.
    """
    found = supplied(host.sandboxes(settings))
    if settings.sandbox:
        named = found.get(settings.sandbox)
        if named is None:
            hint = nearest(settings.sandbox, found)
            raise SettingsError(f"sandbox: no sandbox is called {settings.sandbox!r}{hint}")
        if missing := named.missing():
            raise UsageError(f"the sandbox {named.name!r} does not work here: {missing}")
        return PickedSandbox(named)
    lacking = {}
    for name, sandbox in found.items():
        if name == UNCONFINED:
            continue
        missing = sandbox.missing()
        if missing is None:
            return PickedSandbox(sandbox)
        lacking[name] = missing
    if settings.trusts_commands and UNCONFINED in found:
        return PickedSandbox(found[UNCONFINED])
    return PickedSandbox(None, "; ".join(f"{name}: {why}" for name, why in lacking.items()))
