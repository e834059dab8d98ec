"""The frontends: each lets somebody operate the box in one way, and shows its state.

A frontend is a guest in the daemon: :mod:`appliance.frontends.runner` runs, watches and restarts
it, and whatever it does, the processes that make the music do not notice. What it has to do is
described in :class:`appliance.frontends.base.Frontend`.
"""
