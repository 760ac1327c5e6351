"""What a caller of `load` or `from_arrays` may choose about batches, checked in one place."""

from dataclasses import dataclass

from keras_vae.datasets.parts import check_count
from keras_vae.datasets.transforms import BINARIZATIONS, Statistics, Transform, check_transform


@dataclass(frozen=True)
class Options:
    """The arguments that `load` and `from_arrays` share; see there."""

    binarize: str | None
    scale: str
    dequantize: bool
    batch_size: int
    shuffle: bool
    seed: int

    def __post_init__(self) -> None:
        check_transform(self.scale, self.binarize, self.dequantize)
        check_count("batch_size", self.batch_size)
        check_count("seed", self.seed, least=0)

    @property
    def fixed(self) -> bool:
        """Whether examples are binarised once and for all."""
        return self.binarize in ("static", "threshold")

    def transform(self, binary: bool, statistics: Statistics | None) -> Transform:
        """What batches go through; data known to be `binary` come out as exactly 0 and 1."""
        draw = "threshold" if binary and self.scale == "unit" else "keep"
        if self.binarize is not None:
            draw = BINARIZATIONS[self.binarize]
        elif self.dequantize:
            draw = "dequantize"
        return Transform(self.scale, draw, statistics if self.scale == "standard" else None)
