"""The web frontend: a page and an HTTP API to see, hear and control the box.

:mod:`server` serves them. Each module with routes has a function ``add_routes(table, context)``:
the :class:`routing.RouteTable` describes every route, and :class:`context.WebContext` is what the
handlers work with. The files that the browser loads are in ``static``.
"""
