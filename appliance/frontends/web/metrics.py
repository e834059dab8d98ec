"""The box for Prometheus, in its text format 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from appliance.frontends.web.health_monitor import Latency, cumulative
from appliance.state.box_status import Workload, Status

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Row = tuple[Labels, float]


def exposition(status: Status, counts: Workload, latency: Latency, *, well: bool) -> str:
    """Everything, a line each."""
    health, settings = status.health, status.settings
    cures = {"frozen": health.cures.frozen, "loop": health.cures.loop,
             "stuck": health.cures.stuck, "silence": health.cures.silence}  # fmt: skip
    families: list[tuple[str, str, str, Iterable[Row]]] = [
        ("info", "gauge", "What plays.", [({"version": status.version, "model": settings.model,
                                            "instrument": settings.instrument}, 1)]),
        ("up", "gauge", "Sound flows, or nothing is to sound.", _one(well)),
        ("playing", "gauge", "Not paused.", _one(settings.playing)),
        ("uptime_seconds", "gauge", "Since the start.", _one(health.uptime_s)),
        ("tempo_bpm", "gauge", "Quarter notes a minute.", _one(settings.tempo)),
        ("temperature", "gauge", "Of the model.", _one(settings.temperature)),
        ("volume_percent", "gauge", "Of full.", _one(settings.volume)),
        ("look_ahead_seconds", "gauge", "Composed and not yet heard.", _one(health.look_ahead_s)),
        ("xruns_total", "counter", "The card was short of sound.", _one(health.xruns)),
        ("starved_blocks_total", "counter", "Blocks without music.", _one(health.starved)),
        ("late_notes_total", "counter", "Notes after their time.", _one(health.late)),
        ("notes_total", "counter", "Composed.", _one(counts.notes)),
        ("tokens_total", "counter", "Of the model.", _one(counts.tokens)),
        ("pieces_total", "counter", "Composed.", _one(health.pieces)),
        ("rewinds_total", "counter", "Written anew after a change.", _one(health.rewinds)),
        ("restarts_total", "counter", "Of composer and performer.", _one(health.restarts)),
        ("cures_total", "counter", "The guard helped on.",
         [({"kind": kind}, n) for kind, n in cures.items()]),
        ("cpu_seconds_total", "counter", "Of each process there is.",
         [({"process": name}, s) for name, s in counts.cpu_s.items()]),
        ("resident_memory_bytes", "gauge", "Of each process there is.",
         [({"process": name}, m * 2**20) for name, m in counts.rss_mib.items()]),
    ]  # fmt: skip
    if health.cpu_celsius is not None:
        families.append(("cpu_celsius", "gauge", "The processor.", _one(health.cpu_celsius)))
    lines = []
    for name, kind, about, rows in families:
        lines += [f"# HELP bachbox_{name} {about}", f"# TYPE bachbox_{name} {kind}"]
        lines += [f"bachbox_{name}{_labels(labels)} {value:.12g}" for labels, value in rows]
    return "\n".join([*lines, *_histogram(latency), ""])


def _histogram(latency: Latency) -> list[str]:
    name = "bachbox_hand_to_sound_seconds"
    bounds = [*(f"{bound / 1000:g}" for bound in latency.bounds_ms), "+Inf"]
    counts = cumulative(latency)
    return [
        f"# HELP {name} From a change to a block of sound with it.",
        f"# TYPE {name} histogram",
        *(
            f'{name}_bucket{{le="{bound}"}} {count}'
            for bound, count in zip(bounds, counts, strict=True)
        ),
        f"{name}_sum {latency.sum_ms / 1000:.12g}",
        f"{name}_count {counts[-1]}",
    ]


def _one(value: float) -> list[Row]:
    return [({}, value)]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
