"""Examples in tokens, in a file that is mapped: however many there are, memory holds those that are looked at.

Shapes: T tokens of one example.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import TypeVar, overload
from weakref import finalize

import numpy as np

from engrain.files import disk_full, is_disk_full
from engrain.tokens import Encoded

T = TypeVar("T")


class _Listed(Sequence[T]):
    """A sequence whose members are looked up by `_at`, the place counted from the beginning."""

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        places = range(len(self))[place]
        return self._at(places) if isinstance(places, int) else [self._at(i) for i in places]

    @abstractmethod
    def _at(self, place: int) -> T: ...


class TokenRows(_Listed[Encoded]):
    """The examples of a pass, each as often as it comes; their tokens are in files in `folder` that have no name and go with this.

    What was appended is read back with equal ids (T,) and supervised (T,); appending after reading is not meant.
    """

    def __init__(self, folder: Path) -> None:
        self._ids, self._supervised = _Column(folder, np.int32), _Column(folder, np.bool_)
        self._starts, self._numbers = array("q", [0]), array("q")

    def append(self, encoded: Encoded, repeats: int = 1) -> None:
        """Add an example that comes `repeats` times. Raises RunError when the disk is full."""
        self._numbers.extend([len(self._starts) - 1] * repeats)
        self._starts.append(self._starts[-1] + len(encoded.ids))
        self._ids.write(encoded.ids)
        self._supervised.write(encoded.supervised)

    def __len__(self) -> int:
        return len(self._numbers)

    def _at(self, place: int) -> Encoded:
        number = self._numbers[place]
        start, end = self._starts[number], self._starts[number + 1]
        return Encoded(self._ids.mapped[start:end], self._supervised.mapped[start:end])


class Joined(_Listed[T]):
    """Sequences as one, the one after the other; nothing of them is copied."""

    def __init__(self, *parts: Sequence[T]) -> None:
        self._parts, self._ends = parts, list(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self._parts)

    def _at(self, place: int) -> T:
        part = bisect_right(self._ends, place)
        return self._parts[part][place - self._ends[part] + len(self._parts[part])]


class _Column:
    """Numbers of one kind in a file that has no name."""

    def __init__(self, folder: Path, dtype: type[np.generic]) -> None:
        self._folder, self._dtype = folder, dtype
        with self._on_disk():
            self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this
        finalize(self, self._file.close)

    def write(self, numbers: np.ndarray) -> None:
        """Add numbers at the end."""
        with self._on_disk():
            self._file.write(numbers.astype(self._dtype, copy=False).tobytes())

    @cached_property
    def mapped(self) -> np.ndarray:
        """All of them; a change stays in memory, and is made by nobody: PyTorch asks for arrays that could be changed."""
        with self._on_disk():
            self._file.flush()
        return np.asarray(np.memmap(self._file, self._dtype, "c"))

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                raise disk_full(self._folder / "tokens") from error
            raise
