"""Files that a service may not see are distinguished from files that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.audio import soundfont
from appliance.common.hidden_folders import is_hidden_from_service
from appliance.errors import BachboxError

MOUNTS = """\
583 560 254:1 / / ro,relatime shared:300 master:1 - ext4 /dev/vda1 rw
601 583 0:25 /systemd/inaccessible/dir /home ro,nosuid,nodev,noexec master:12 - tmpfs tmpfs rw
602 583 0:25 /systemd/inaccessible/dir /root ro,nosuid,nodev,noexec master:12 - tmpfs tmpfs rw
"""
"""What the kernel says inside a unit with ProtectHome=yes."""


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/home/pi/fonts/organ.sf2", True),
        ("/root/organ.sf2", True),
        ("/homes/organ.sf2", False),
        ("/usr/share/sounds/sf2/TimGM6mb.sf2", False),
    ],
)
def test_home_folders_are_hidden_from_a_service(tmp_path: Path, path: str, hidden: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_hidden_from_service(Path(path), mounts) is hidden
    assert not is_hidden_from_service(Path(path), tmp_path / "none")


def test_the_sentence_says_that_the_service_does_not_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soundfont, "is_hidden_from_service", lambda _path: True)
    with pytest.raises(BachboxError, match="the service does not see the soundfont /home"):
        soundfont.preset_names(Path("/home/pi/x.sf2"))
