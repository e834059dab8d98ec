"""Where each fact lies in a codec's multi-hot input vector."""

from __future__ import annotations


class Inputs:
    """The layout of a multi-hot input: named parts, one behind the other.

    A part is given by its name and its size, or by its name, a number of rows and their length.
    ``inputs["key", 3]`` is the index of input 3 of the part ``key``; ``inputs["past", 2, 5]`` is
    input 5 in row 2 of the part ``past``. Models are trained on the order of the parts.

    Attributes:
        width: length of the whole input.
    """

    def __init__(self, *parts: tuple[str, int] | tuple[str, int, int]) -> None:
        self.width = 0
        self._parts: dict[str, tuple[int, int]] = {}
        """Index of the first input of a part, and the length of its rows."""
        self._ranges: dict[str, range] = {}
        for name, *shape in parts:
            rows, length = shape if len(shape) > 1 else (1, shape[0])
            self._parts[name] = (self.width, length)
            self._ranges[name] = range(self.width, self.width + rows * length)
            self.width += rows * length

    def __getitem__(self, place: tuple[str, int] | tuple[str, int, int]) -> int:
        """Index of one input. It is not checked against the size of the part."""
        first, length = self._parts[place[0]]
        if len(place) == 2:
            return first + place[1]
        return first + place[1] * length + place[2]

    def indices(self, name: str) -> range:
        """The indices of all inputs of a part."""
        return self._ranges[name]
