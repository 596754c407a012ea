"""The compared methods: rows of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pqi.prune.amount import SAP, Amount, Fraction

Ranking = Literal["current", "dense"]


@dataclass(frozen=True)
class Method:
    """How much to prune, and by which weights to rank.

    Parameters
    ----------
    name : str
        Identifier for commands and file names.
    label : str
        Name for tables and figures.
    amount : Amount
        How many weights each group loses per iteration.
    ranking : {"current", "dense"}
        Rank by the magnitudes of the retrained weights w_t, or of the once-trained dense weights w_0.

    Raises
    ------
    ValueError
        If `ranking` is neither of the two.
    """

    name: str
    label: str
    amount: Amount
    ranking: Ranking = "current"

    def __post_init__(self) -> None:
        if self.ranking not in ("current", "dense"):
            raise ValueError(f"ranking must be 'current' or 'dense', got {self.ranking!r}")


METHODS = {
    method.name: method
    for method in (
        Method("sap-0.5-1", "SAP(½, 1)", SAP(0.5, 1.0)),
        Method("sap-1-2", "SAP(1, 2)", SAP(1.0, 2.0)),
        Method("lottery-ticket", "Lottery Ticket", Fraction(0.2)),
        Method("one-shot", "One Shot", Fraction(0.2), ranking="dense"),
    )
}
"""The four methods of the paper's Figures 2 to 4, by name."""
