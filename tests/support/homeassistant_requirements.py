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

# The recorder is not set up, but imported.
todo = ["frontend", "mqtt", "recorder", *DEFAULT_INTEGRATIONS]
seen: set[str] = set()
while todo:
    name = todo.pop()
    if name in seen:
        continue
    seen.add(name)
    manifest = json.loads((ROOT / "components" / name / "manifest.json").read_text())
    todo += manifest.get("dependencies", [])
    for requirement in manifest.get("requirements", []):
        print(requirement)
# Imported by what the frontend depends on.
print("numpy")
print(f"--constraint {ROOT / 'package_constraints.txt'}")
