"""The frontends: each is one way to control the box and to see its state.

A frontend runs inside the daemon: :mod:`appliance.frontends.runner` runs, watches and restarts it.
Its failures do not affect the processes that make the music. What it has to do is described in
:class:`appliance.frontends.base.Frontend`.
"""
