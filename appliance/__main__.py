"""``python -m appliance`` is ``bachbox``."""

from appliance.cli import main

main()
