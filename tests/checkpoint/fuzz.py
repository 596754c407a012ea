"""Damage files at random and scan them, in a process of its own with little memory: ``fuzz.py KIND COUNT SEED``.

Prints how many were read and how many refused; anything else than these two ends the process.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

import pqi
from checkpoint.files import GOOD, PICKLE, torch_zip

MEMORY = 3 << 30
"""Address space: what Python, its libraries and their threads reserve, and little more."""
SECONDS = 2.0

JSON = rb"""{ } [ ] , : " -1 1e999 null true NaN {"a": [[ ]] "shape" "dtype" F33 F4 ../ \ud800 \"""".split(b" ")
NUMPY = rb"""( , ) 'descr' |O >f8 <U9 True""".split(b" ")
PICKLED = rb"""(N). (t R b ]q ( cos""".split(b" ")
BINARY = [b"q\0", b"h\0", b"\x85", b"\x87", b"\x93", b"\x94", b"os\nsystem\n", b"J" + b"\xff" * 4, b"PK\3\4", b"PK\5\6"]
NUMBERS = [value.to_bytes(size, "little") for value in (0, 1, 127) for size in (1, 4, 8)]
LARGE = [(2 ** (8 * size - less) - 1).to_bytes(size, "little") for size in (1, 2, 4, 8) for less in (0, 1)]
SPICE = [*JSON, *NUMPY, *PICKLED, *BINARY, *NUMBERS, *LARGE]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return the bytes with a few of them changed, dropped, repeated or spiced."""
    found = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        place = rng.randrange(len(found) + 1)
        action = rng.randrange(5)
        if action == 0 and found:
            found[place % len(found)] = rng.randrange(256)
        elif action == 1:
            del found[place : place + rng.choice((1, 2, 8, 64))]
        elif action == 2:
            found[place:place] = rng.choice(SPICE)
        elif action == 3:
            spice = rng.choice(SPICE)
            found[place : place + len(spice)] = spice
        else:
            other = rng.randrange(len(found) + 1)
            found[place:place] = found[other : other + rng.choice((2, 8, 64))]
    return bytes(found)


def made(kind: str, rng: random.Random) -> bytes:
    """Return a damaged file of this kind."""
    if kind == "good.safetensors":
        content = GOOD[kind]
        length = int.from_bytes(content[:8], "little")
        header = damaged(content[8 : 8 + length], rng)
        said = length if rng.random() < 0.1 else rng.choice(SPICE)[:8] if rng.random() < 0.1 else len(header)
        start = said.to_bytes(8, "little") if isinstance(said, int) else said.ljust(8, b"\0")
        return start + header + content[8 + length :]
    if kind == "pickle":
        return torch_zip(damaged(PICKLE, rng))
    return damaged(GOOD[kind], rng)


def main(kind: str, count: int, seed: int) -> None:
    """Scan so many files."""
    rng, read, refused = random.Random(seed), 0, 0
    pqi.set_num_threads(1)
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # it reserves terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        for number in range(count):
            path.write_bytes(made(kind, rng))
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                pqi.scan(path).to_dict()
                read += 1
            except ValueError as error:
                if not str(error).startswith(folder) or "\n" in str(error):
                    raise AssertionError(f"file {number}: {error!r}") from error
                refused += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
    print(read, refused)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
