"""Files that another process has locked."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, as another process would."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        assert lock_descriptor(descriptor, blocking=False)
        yield
        unlock_descriptor(descriptor)
    finally:
        os.close(descriptor)
