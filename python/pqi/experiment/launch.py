"""How many processes ``torchrun`` started, and which of them this one is.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Launch:
    """The number of a process among all, and among those of its machine; a process started alone is number 0 of 1."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Launch:
        """Return what ``torchrun`` wrote into the environment.

        Raises
        ------
        ValueError
            If it is no launch.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        if "WORLD_SIZE" not in environment:
            return cls()
        texts = [environment.get(name, "0") for name in names]
        if not all(text.isdecimal() for text in texts) or not int(texts[0]) < int(texts[1]):
            raise ValueError(f"{', '.join(names)} must be a rank of so many processes, got {', '.join(texts)}")
        return cls(*map(int, texts))
