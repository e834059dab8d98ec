"""Files that a service may not see are distinguished from files that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.audio import soundfont
from appliance.cli.model_catalog import ModelCatalog
from appliance.common import hidden_folders
from appliance.common.hidden_folders import is_hidden_from_service
from appliance.config.loader import Config
from appliance.config.schema import Music
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


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process be the service, from which home folders are hidden."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(hidden_folders, "_MOUNTS", mounts)


@pytest.mark.usefixtures("service")
def test_the_sentence_says_that_the_service_does_not_see_a_soundfont() -> None:
    with pytest.raises(BachboxError, match="the service does not see the soundfont /home"):
        soundfont.preset_names(Path("/home/pi/x.sf2"))


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("music", "sentence"),
    [
        (
            Music(model="mine", models_folder=Path("/home/pi/models")),
            "the service does not see the folder /home/pi/models, since home folders are hidden "
            "from it; move it to /etc/bachbox",
        ),
        (
            Music(model="/home/pi/mine.tflite"),
            "the service does not see the model /home/pi/mine.tflite, since home folders are "
            "hidden from it; move it to /etc/bachbox",
        ),
    ],
)
def test_the_sentence_says_that_the_service_does_not_see_a_model(
    music: Music, sentence: str
) -> None:
    with pytest.raises(BachboxError) as raised:
        ModelCatalog(Config(music=music))
    assert str(raised.value).endswith(sentence)
