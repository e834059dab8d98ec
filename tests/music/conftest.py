"""The model fixtures of this folder."""

from tests.support.model_fixtures import _faster_runtime, many_pieces, runtime, shipped

__all__ = ["_faster_runtime", "many_pieces", "runtime", "shipped"]
