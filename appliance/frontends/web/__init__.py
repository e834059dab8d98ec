"""The page: the box seen, steered and heard from a browser, and by programs over HTTP.

:mod:`control` serves it; :mod:`house` is what every handler gets. Each module that adds to it has
a function ``routes(house)``, which :mod:`control` lists: a GET may be asked for by whoever may
look, everything else by whoever may steer, unless :func:`house.may` says otherwise. What the
browser gets lies in ``static``.
"""
