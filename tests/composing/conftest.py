"""The model fixtures of this folder."""

from tests.support.model_fixtures import _faster_runtime, runtime, shipped, thirty

__all__ = ["_faster_runtime", "runtime", "shipped", "thirty"]
