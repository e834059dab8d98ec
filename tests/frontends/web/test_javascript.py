"""The page's JavaScript: its unit tests in ``js/``, run by node, and what it says of the box."""

from __future__ import annotations

import re
from pathlib import Path

from appliance.frontends.web.static_files import STATIC
from appliance.state.settings_ranges_and_steps import SETTINGS
from tests.support.javascript import node_tests


def test_javascript_units(tmp_path: Path) -> None:
    result = node_tests(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_setting_that_has_a_place_on_the_page_is_one_of_the_box() -> None:
    source = (STATIC / "settings-places.js").read_text()
    lists = re.findall(r"^const [A-Z]+ = \[(.*?)\];", source, re.MULTILINE)
    placed = [name for names in lists for name in re.findall(r"'(\w+)'", names)]
    assert len(placed) > 10
    assert set(placed) <= {setting.name for setting in SETTINGS}
