"""The README's example of the measures runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_measures_example() -> None:
    section = README.read_text(encoding="utf-8").split("## Measures", 1)[1]
    (example,) = re.findall(r"```python\n(.*?)```", section.split("\n## ", 1)[0], re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(example, str(README), "exec"), names)
    low, value, high = (names[name] for name in ("low", "value", "high"))
    assert isinstance(low, float)
    assert isinstance(value, float)
    assert isinstance(high, float)
    assert low <= value <= high <= low + 1e-6
