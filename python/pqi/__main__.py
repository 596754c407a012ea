"""``python -m pqi``: the command ``pqindex``."""

from pqi.cli import main

raise SystemExit(main())
