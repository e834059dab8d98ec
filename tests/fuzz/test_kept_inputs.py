"""What fuzzing has found to reach all parts of the readers is read or refused, time and again."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.fuzz.targets import KEPT, TARGETS
from tests.support.processor_limit import bounded_processor_time


@pytest.mark.parametrize("reader", [name for name in TARGETS if name != "soundfont-report"])
def test_what_reaches_all_parts_of_a_reader_is_read_or_refused(reader: str, tmp_path: Path) -> None:
    target = TARGETS[reader]
    path = tmp_path / f"kept{target.suffix}"
    with zipfile.ZipFile(KEPT) as archive:
        names = [name for name in archive.namelist() if Path(name).parent.name == reader]
        assert names
        for name in names:
            path.write_bytes(archive.read(name))
            with bounded_processor_time():
                target.run(path)
