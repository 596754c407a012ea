"""How much the system lets be written to memory before a writer has to wait for the disk."""

from __future__ import annotations

import math
import re
from pathlib import Path

MEMORY, LIMITS = Path("/proc/meminfo"), Path("/proc/sys/vm")


def absorbed() -> float:
    """Bytes that may be written but not yet be on disk before Linux slows the writer down; infinite where unknown.

    That is half-way between the limit from which it writes in the background and the one at which it blocks; each is a
    number of bytes or a share of the memory that is available.
    """
    try:
        found = re.search(r"^MemAvailable: *(\d+) kB$", MEMORY.read_text(), re.MULTILINE)
        if found is None:
            return math.inf
        available = 1024 * int(found[1])
        return (_limit("dirty_background", available) + _limit("dirty", available)) / 2
    except (OSError, ValueError):
        return math.inf


def _limit(name: str, available: int) -> float:
    given = int((LIMITS / f"{name}_bytes").read_text())
    return given or available * int((LIMITS / f"{name}_ratio").read_text()) / 100
