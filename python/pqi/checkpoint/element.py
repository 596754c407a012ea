"""Element types of checkpoint files: their names, their widths, and which of them can be measured."""

from __future__ import annotations

from dataclasses import dataclass

INTEGER, UNSIGNED, FLOAT, BFLOAT, BOOL = 0, 1, 2, 4, 6
FLOAT8_E4M3FN, FLOAT8_E5M2 = 10, 12


@dataclass(frozen=True, slots=True)
class ElementType:
    """One element type."""

    name: str
    bits: int
    code: int | None = None
    """DLPack's type code; None where the measures do not know the type."""

    @property
    def measurable(self) -> bool:
        """Whether the array functions understand it."""
        return self.code is not None

    @property
    def is_weight(self) -> bool:
        """Whether a matrix of it is taken for weights: floating types and bytes (quantised weights).

        Wider integers are positions, indices or packed words, and bool is a mask.
        """
        return self.is_floating or (self.code in (INTEGER, UNSIGNED) and self.bits == 8)

    @property
    def is_floating(self) -> bool:
        """Whether it is a measurable floating type: a sign bit, then the magnitude."""
        return self.code in (FLOAT, BFLOAT, FLOAT8_E4M3FN, FLOAT8_E5M2)

    @property
    def itemsize(self) -> int:
        """Bytes of one element; of a measurable type."""
        return self.bits // 8

    def bytes_of(self, count: int) -> int | None:
        """Bytes that `count` elements take; None if they do not fill whole bytes."""
        return None if count * self.bits % 8 else count * self.bits // 8


TYPES = {
    element.name: element
    for element in (
        ElementType("float64", 64, FLOAT),
        ElementType("float32", 32, FLOAT),
        ElementType("float16", 16, FLOAT),
        ElementType("bfloat16", 16, BFLOAT),
        ElementType("float8_e4m3fn", 8, FLOAT8_E4M3FN),
        ElementType("float8_e5m2", 8, FLOAT8_E5M2),
        ElementType("float8_e4m3fnuz", 8),
        ElementType("float8_e5m2fnuz", 8),
        ElementType("float8_e8m0fnu", 8),
        ElementType("float6_e2m3", 6),
        ElementType("float6_e3m2", 6),
        ElementType("float4_e2m1", 4),
        ElementType("int64", 64, INTEGER),
        ElementType("int32", 32, INTEGER),
        ElementType("int16", 16, INTEGER),
        ElementType("int8", 8, INTEGER),
        ElementType("uint64", 64, UNSIGNED),
        ElementType("uint32", 32, UNSIGNED),
        ElementType("uint16", 16, UNSIGNED),
        ElementType("uint8", 8, UNSIGNED),
        ElementType("bool", 8, BOOL),
        ElementType("complex64", 64),
        ElementType("complex128", 128),
    )
}
"""Every type by its name."""
