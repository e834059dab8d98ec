"""Bachbox: a box that plays Bach nobody has written, endlessly."""

__version__ = "0.1.0"
