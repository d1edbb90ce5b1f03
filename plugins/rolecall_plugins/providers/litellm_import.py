"""Imports litellm, which takes seconds, and as if it were not there: quiet, and offline."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Without these it fetches price maps over the network and loads the folder's .env itself.
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
_importing = threading.Lock()


def import_litellm() -> Any:
    """Return litellm; providers that are prepared at the same time import it once."""
    with _importing, _uncollected():
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        import litellm
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


@contextmanager
def _uncollected() -> Iterator[None]:
    """Spare the garbage collector what an import of litellm makes, now and ever after.

    It is half a million objects that stay: collecting costs a quarter of the import, and later each
    full collection would stop every event loop of the process for a quarter of a second.
    """
    if "litellm" in sys.modules or not gc.isenabled():
        yield  # somebody else has chosen when to collect what
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
