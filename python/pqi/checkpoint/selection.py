"""Which tensors of a checkpoint to look at, and which of them are one vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pqi.checkpoint.stored import Checkpoint, StoredTensor, refuse, shown


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tensors of a checkpoint to look at, by shell patterns on their names."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        wanted = not self.include or any(fnmatchcase(name, pattern) for pattern in self.include)
        return wanted and not any(fnmatchcase(name, pattern) for pattern in self.exclude)

    def of(self, checkpoint: Checkpoint) -> list[StoredTensor]:
        """Return the tensors to look at.

        Raises
        ------
        ValueError
            If the patterns leave none.
        """
        found = [tensor for tensor in checkpoint.tensors if tensor.name in self]
        if not found and checkpoint.tensors:
            given = {"include": self.include, "exclude": self.exclude}
            patterns = ", ".join(f"{option} {shown(text)}" for option, texts in given.items() for text in texts)
            refuse(checkpoint.path, f"must hold at least one tensor that was selected, got none by {patterns}")
        return found

    def together(self, tensors: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Return those of the selected tensors that are pruned, or measured, as one vector.

        Those are the prunable ones. Quantised integers have scales of their own, beside which the magnitudes of floats
        mean nothing: where there are floats, integers belong to the vector if patterns asked for them alone.
        """
        prunable = [tensor for tensor in tensors if tensor.prunable]
        if self.include or not any(tensor.element.is_floating for tensor in prunable):
            return prunable
        return [tensor for tensor in prunable if tensor.element.is_floating]
