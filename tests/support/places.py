"""Where things lie in a checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# Recorded traffic of both vendors; it is no part of the repository.
WIRE = ROOT.parent / "shared" / "wire"
