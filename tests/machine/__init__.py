"""Bachbox on whole machines: `make test-machine`. Not collected by pytest."""
