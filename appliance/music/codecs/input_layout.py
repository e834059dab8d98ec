"""Where each fact lies in a codec's multi-hot input vector."""

from __future__ import annotations

Place = tuple[str, int] | tuple[str, int, int]


class Inputs(dict[Place, int]):
    """The layout of a multi-hot input: named parts, one after another.

    A part is given by its name and its size, or by its name, a number of rows and their length.
    ``inputs["key", 3]`` is the index of input 3 of the part ``key``; ``inputs["past", 2, 5]`` is
    that of input 5 in row 2 of the part ``past``. Models are trained on the order of the parts.

    It is a dictionary of all indices, because they are looked up for every token.

    Attributes:
        width: length of the whole input.
    """

    def __init__(self, *parts: Place) -> None:
        super().__init__()
        self.width = 0
        self._parts: dict[str, tuple[int, int]] = {}
        """Index of the first input of a part, and the length of its rows."""
        self._ranges: dict[str, range] = {}
        for name, *shape in parts:
            rows, length = shape if len(shape) > 1 else (1, shape[0])
            self._parts[name] = (self.width, length)
            self._ranges[name] = range(self.width, self.width + rows * length)
            for row in range(rows):
                for place in range(length):
                    self[name, row, place] = self.width + row * length + place
            for place in range(rows * length):
                self[name, place] = self.width + place
            self.width += rows * length

    def __missing__(self, place: Place) -> int:
        """The index of a place beyond its part, which falls into a part after it."""
        first, length = self._parts[place[0]]
        row = place[1] if len(place) > 2 else 0
        return first + row * length + place[-1]

    def indices(self, name: str) -> range:
        """The indices of all inputs of a part."""
        return self._ranges[name]
