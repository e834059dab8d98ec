"""Names that people give to what they keep: saved pieces and scenes."""

from __future__ import annotations

from typing import Final

from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.state.given_name_kinds import NOTHING
from appliance.state.setting_kinds import is_relative
from appliance.state.settings_ranges_and_steps import USE_DEFAULT

MAX_CHARACTERS: Final = 60


def checked(name: str, what: str) -> str:
    """Return ``name`` without blanks around it.

    Args:
        name: as it was given.
        what: whose name it is, for the error.

    Raises:
        UsageError: nothing can be called that.
    """
    name = name.strip()
    reserved = name.casefold() in (NOTHING, USE_DEFAULT) or is_relative(name)
    # MQTT takes what begins with a bracket or a quotation mark for JSON.
    if not name[:1].isalnum() or not name.isprintable() or len(name) > MAX_CHARACTERS or reserved:
        raise UsageError(
            f"{quoted(name)} cannot be the name of a {what}: it must begin with a letter or a "
            f"digit and have at most {MAX_CHARACTERS} characters; {NOTHING}, {USE_DEFAULT} and "
            "toggle mean something else"
        )
    return name
