"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says something about the machine's other work only.
settings.register_profile("bachbox", deadline=None)
settings.load_profile("bachbox")
