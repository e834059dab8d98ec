"""How many instructions a second of music takes on a Raspberry Pi, counted in QEMU.

Unlike times, the figures do not depend on this machine: a Debian for aarch64 with the packages
that Bachbox ships there composes and performs in QEMU's user mode, and a plugin counts.
``python -m benchmarks instructions`` is the command.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks import measure
from benchmarks.measure import CHECKOUT, FailedError, UnavailableError

MUSIC_S = 10.0
QUICK_S = 3.0

NOTE = (
    "Counted, not timed, so these figures are the same on every machine: composer and performer "
    "run as aarch64 programs in QEMU's user mode, as the processor named, with the packages that "
    "Bachbox ships for Python 3.13 on a Raspberry Pi, and a plugin of QEMU's counts the "
    "instructions of what is not start-up, the daemon's and the kernel's excluded. Of the composer "
    "they are those of a whole piece, with what is rehearsed and not played. The *share of "
    "a core* is what follows if the processor completes so many instructions a cycle: half of one "
    "for the Cortex-A53, which starts at most two at a time and in order, and one for the "
    "Cortex-A76, which starts up to four in any order. Both are assumptions on the cautious side: "
    "interpreted code with many cache misses stays far below what a core can start. No figure "
    "here was measured on a Raspberry Pi."
)


class Processor(NamedTuple):
    """A processor that QEMU can be, and what is assumed of it."""

    board: str
    name: str
    """As QEMU calls it."""
    part: int
    """The part number in ``/proc/cpuinfo``, by which the runtime chooses its kernels."""
    features: str
    """As in ``/proc/cpuinfo``."""
    ghz: float
    instructions_a_cycle: float


_V8 = "fp asimd evtstrm crc32 cpuid"
PROCESSORS = (
    Processor("Raspberry Pi Zero 2 W", "cortex-a53", 0xD03, _V8, 1.0, 0.5),
    Processor(
        "Raspberry Pi 5",
        "cortex-a76",
        0xD0B,
        f"{_V8} aes pmull sha1 sha2 atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp",
        2.4,
        1.0,
    ),
)

HEAD = ("model", "processor", "composer", "performer", "together", "share of a core")

_CORES = 4
_PACKAGES = (
    *("ai-edge-litert", "backports-strenum", "flatbuffers", "mido", "msgspec", "numpy"),
    *("packaging", "protobuf", "pyfluidsynth", "tqdm", "typing-extensions"),
)
_LOCK = CHECKOUT / "deploy" / "lock" / "python3.13-aarch64.txt"
_DEBIAN_PACKAGES = ("python3", "libstdc++6", "libgomp1", "libfluidsynth3", "timgm6mb-soundfont")
"""Of Debian 13, which has Python 3.13."""
_TOOLS = {"qemu-aarch64": "qemu-user", "mmdebstrap": "mmdebstrap", "gcc": "gcc"}


def table_lines(models: Sequence[str]) -> list[tuple[str, ...]]:
    """Instructions a second of music for each model and processor, in the order of :data:`HEAD`.

    Raises:
        UnavailableError: QEMU or another program is missing here.
        FailedError: the guest failed.
    """
    emulator = _Emulator()
    with (
        measure.step(f"instructions of {', '.join(models)} in QEMU"),
        ThreadPoolExecutor(len(PROCESSORS)) as pool,
    ):
        counts = list(pool.map(lambda processor: emulator.counted(processor, models), PROCESSORS))
    lines = []
    for model in models:
        for processor, counted in zip(PROCESSORS, counts, strict=True):
            composer, performer = counted["composer", model], counted["performer", models[0]]
            share = (composer + performer) / (processor.ghz * 1e9 * processor.instructions_a_cycle)
            lines.append(
                (
                    model,
                    f"{processor.name} at {processor.ghz:g} GHz ({processor.board})",
                    *(f"{count / 1e6:.0f} M" for count in (composer, performer)),
                    f"{(composer + performer) / 1e6:.0f} M",
                    f"{100 * share:.0f} % at {processor.instructions_a_cycle:g} a cycle",
                )
            )
    return lines


class _Emulator:
    """A Debian for aarch64 with Bachbox's packages, kept in the user's cache folder.

    Raises:
        UnavailableError: a program is missing here.
        FailedError: one of them does not work.
    """

    def __init__(self) -> None:
        missing = [package for tool, package in _TOOLS.items() if not shutil.which(tool)]
        if missing:
            packages = " ".join(missing)
            raise UnavailableError(f"instructions can be counted after `apt install {packages}`")
        if "-plugin" not in _run(["qemu-aarch64", "-help"]):
            raise UnavailableError(
                "this qemu-aarch64 takes no plugins, so it cannot count instructions; that of "
                "Debian 12 does"
            )
        cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        self._folder = cache / "bachbox" / "aarch64"
        self._debian = self._made(_DEBIAN_PACKAGES, "debian", _make_debian)
        self._site = self._made(_pinned(_LOCK.read_text()), "packages", _make_site)
        self._plugin = self._folder / "count_instructions.so"
        api = 1 if re.search(r"version [78]\.", _run(["qemu-aarch64", "-version"])) else 2
        source = Path(__file__).with_name("count_instructions.c")
        _run(["gcc", "-O2", "-shared", "-fPIC", f"-DAPI={api}", "-o", self._plugin, source])

    def _made(
        self, contents: Sequence[str], name: str, make: Callable[[Sequence[str], Path], None]
    ) -> Path:
        """A folder with ``contents``, made unless there is one."""
        digest = hashlib.sha256(" ".join(contents).encode()).hexdigest()[:12]
        folder = self._folder / f"{name}-{digest}"
        if not folder.exists():
            print(f"  making {folder} (once; a minute)", file=sys.stderr)
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(contents, unfinished)
            unfinished.rename(folder)
        return folder

    def counted(self, processor: Processor, models: Sequence[str]) -> dict[tuple[str, str], float]:
        """Instructions a second of music, by part and model.

        Raises:
            FailedError: the guest failed.
        """
        root = self._folder / processor.name
        _make_root(root, self._debian, processor)
        python = root / "usr/bin/python3"
        guest = {
            "LD_LIBRARY_PATH": f"{root}/usr/lib/aarch64-linux-gnu",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONHOME": f"{root}/usr",
            "PYTHONPATH": f"{self._site}:{CHECKOUT}",
            "PYTHONPYCACHEPREFIX": f"{self._folder}/pycache",
        }
        command: list[str | Path] = [
            *("qemu-aarch64", "-cpu", processor.name, "-L", root, "-plugin", self._plugin),
            *(part for pair in guest.items() for part in ("-E", "=".join(pair))),
            *(python, "-m", "benchmarks.instructions_guest"),
            *(str(measure.amount(MUSIC_S, QUICK_S)), *models),
        ]
        output, errors = _outputs(command)
        counts = [int(count) for count in re.findall(r"^instructions (\d+)$", errors, re.MULTILINE)]
        made = [json.loads(line) for line in output.splitlines()]
        if len(counts) != 2 * len(made) or not made:
            raise FailedError(f"QEMU gave {len(counts)} counts for {len(made)} measurements")
        return {
            (part["what"], part["model"]): (end - start) / part["music_s"]
            for part, start, end in zip(made, counts[::2], counts[1::2], strict=True)
        }


def _pinned(lock: str) -> list[str]:
    """Requirements of the packages, with the versions that Bachbox ships."""
    return [
        f"{name}=={re.findall(rf'^{name}==([^ ]+)', lock, re.MULTILINE)[0]}" for name in _PACKAGES
    ]


def _make_debian(packages: Sequence[str], folder: Path) -> None:
    # Only unpacked: nothing of it can run before the kernel knows of QEMU.
    variant = ("--quiet", "--variant=extract", "--architectures=arm64")
    _run(["mmdebstrap", *variant, f"--include={','.join(packages)}", "trixie", folder])
    for link in ("lib", "bin"):
        (folder / link).symlink_to(f"usr/{link}")


def _make_site(requirements: Sequence[str], folder: Path) -> None:
    platforms = [f"--platform=manylinux{glibc}_aarch64" for glibc in ("2014", "_2_27", "_2_28")]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    wheels = ["--no-deps", "--only-binary=:all:", "--python-version=3.13", *platforms]
    _run([*pip, "--ignore-requires-python", *wheels, "--target", folder, *requirements])


def _make_root(root: Path, debian: Path, processor: Processor) -> None:
    """Where the guest finds its libraries, and what its kernel would tell of the processor."""
    shutil.rmtree(root, ignore_errors=True)
    cpus = root / "sys/devices/system/cpu"
    cpus.mkdir(parents=True)
    for folder in ("usr", "lib"):
        (root / folder).symlink_to(debian / folder)
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(
        "".join(
            f"processor\t: {core}\nFeatures\t: {processor.features}\nCPU implementer\t: 0x41\n"
            "CPU architecture: 8\nCPU variant\t: 0x0\n"
            f"CPU part\t: 0x{processor.part:x}\nCPU revision\t: 4\n\n"
            for core in range(_CORES)
        )
    )
    for name in ("possible", "present", "online"):
        (cpus / name).write_text(f"0-{_CORES - 1}\n")


def _run(command: Sequence[str | Path]) -> str:
    """What a command prints.

    Raises:
        FailedError: it fails; with the last line of its stderr.
    """
    return _outputs(command)[0]


def _outputs(command: Sequence[str | Path]) -> tuple[str, str]:
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise FailedError(f"`{command[0]}` ended with {done.returncode}: {last}")
    return done.stdout, done.stderr
