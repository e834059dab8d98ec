"""Names of scenes and saved pieces on the command line, completed by the shell."""

from __future__ import annotations

from typing import Any, Literal

from appliance.cli.options import ParamType


class KeptName(ParamType):
    """The name of a scene or of a saved piece, completed from those of the running box.

    Args:
        of: whose name it is.
    """

    name = "name"

    def __init__(self, of: Literal["scenes", "pieces"]) -> None:
        self._of: Literal["scenes", "pieces"] = of

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        """Return the names that begin with ``incomplete``, for the shell."""
        from click.shell_completion import CompletionItem

        from appliance.errors import BachboxError
        from appliance.frontends.library import LibraryRequest
        from appliance.frontends.local_socket import ask_library

        try:
            answer = ask_library(LibraryRequest(self._of))
        except BachboxError:
            return []
        names = [scene.name for scene in answer.scenes] + [piece.name for piece in answer.pieces]
        folded = incomplete.casefold()
        return [CompletionItem(name) for name in names if name.casefold().startswith(folded)]
