"""Prints what the installed Home Assistant would install by itself when it starts.

Run with Home Assistant's own Python. Installed beforehand and all at once, that takes one minute
in place of ten.
"""

from __future__ import annotations

import json
from pathlib import Path

import homeassistant
from homeassistant.bootstrap import DEFAULT_INTEGRATIONS

ROOT = Path(homeassistant.__file__).parent

# The last three are imported when a dashboard is opened: it asks for all services.
todo = [
    *("frontend", "mqtt", "history", "ai_task", "assist_satellite", "camera"),
    *DEFAULT_INTEGRATIONS,
]
seen: set[str] = set()
while todo:
    name = todo.pop()
    if name in seen:
        continue
    seen.add(name)
    file = ROOT / "components" / name / "manifest.json"
    if not file.exists():
        # An older Home Assistant does not have all of them.
        continue
    manifest = json.loads(file.read_text())
    todo += manifest.get("dependencies", [])
    for requirement in manifest.get("requirements", []):
        print(requirement)
# Imported by what the frontend depends on.
print("numpy")
print(f"--constraint {ROOT / 'package_constraints.txt'}")
