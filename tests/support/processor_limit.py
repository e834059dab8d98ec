"""A bound on processor time that a busy machine keeps, too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

MAX_CPU_S = 40.0
"""What is read within 5 s when the machine is quiet takes several times as long beside others, who
share caches and cores; what has no bound takes minutes."""


@contextlib.contextmanager
def bounded_processor_time() -> Iterator[None]:
    """Fail where what is done meanwhile has no bound."""
    before = time.process_time()
    yield
    assert time.process_time() - before < MAX_CPU_S
