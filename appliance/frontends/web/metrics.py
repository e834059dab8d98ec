"""The metrics for Prometheus, in its text format 0.0.4.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from appliance.frontends.web.health_monitor import Latency, cumulative
from appliance.state.box_status import Health, Status, Workload
from appliance.state.settings import ShownSettings
from appliance.state.settings_ranges_and_steps import SETTINGS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX: Final = "bachbox_"


class _Family(NamedTuple):
    """A metric with all of its samples: labels and value."""

    name: str
    kind: str
    help: str
    samples: Iterable[tuple[Mapping[str, str], float]]


def exposition(status: Status, workload: Workload, latency: Latency, *, healthy: bool) -> str:
    """Return all metrics as the text that Prometheus reads.

    Args:
        status: the state of the box.
        workload: the work and the resources of its processes.
        latency: how long changes of settings took to be heard.
        healthy: sound is flowing, or no sound is expected.
    """
    health = status.health
    families = [
        _info(status),
        _gauge("up", "1 if sound is flowing or no sound is expected, 0 otherwise.", healthy),
        *_settings(status.settings),
        *_health(health),
        _counter("notes_total", "Notes composed since the start.", workload.notes),
        _counter("tokens_total", "Tokens that the model has composed.", workload.tokens),
        _Family(
            "cpu_seconds_total",
            "counter",
            "Processor time used by each process, in seconds.",
            [({"process": name}, cpu_s) for name, cpu_s in workload.cpu_s.items()],
        ),
        _Family(
            "resident_memory_bytes",
            "gauge",
            "Resident memory of each process, in bytes.",
            [({"process": name}, rss_mib * 2**20) for name, rss_mib in workload.rss_mib.items()],
        ),
    ]
    lines = []
    for name, kind, about, samples in families:
        lines += [f"# HELP {_PREFIX}{name} {about}", f"# TYPE {_PREFIX}{name} {kind}"]
        lines += [f"{_PREFIX}{name}{_labels(labels)} {value:.12g}" for labels, value in samples]
    return "\n".join([*lines, *_histogram(latency), ""])


def _info(status: Status) -> _Family:
    """Return the metric whose labels are the version and the settings that are not numbers."""
    labels = {"version": status.version} | {
        setting.name: str(getattr(status.settings, setting.name))
        for setting in SETTINGS
        if not setting.metric
    }
    about = "Always 1; the labels are the version and the settings that are not numbers."
    return _Family("info", "gauge", about, [(labels, 1)])


def _settings(settings: ShownSettings) -> Iterator[_Family]:
    for setting in SETTINGS:
        if setting.metric:
            value = getattr(settings, setting.name)
            yield _gauge(setting.metric, setting.metric_help, value)


def _health(health: Health) -> Iterator[_Family]:
    yield _gauge("uptime_seconds", "Seconds since Bachbox was started.", health.uptime_s)
    yield _gauge(
        "look_ahead_seconds",
        "Music that is composed and not yet heard, in seconds.",
        health.look_ahead_s,
    )
    yield _counter(
        "xruns_total", "Times that the sound card ran out of sound (xruns).", health.xruns
    )
    yield _counter(
        "starved_blocks_total",
        "Audio blocks for which no music was composed in time.",
        health.starved_blocks,
    )
    yield _counter("late_notes_total", "Notes played late.", health.late_notes)
    yield _counter("pieces_total", "Pieces composed since the start.", health.pieces)
    yield _counter(
        "rewinds_total",
        "Times that music not yet heard was composed again after a change.",
        health.rewinds,
    )
    yield _counter(
        "restarts_total", "Restarts of the composer and performer processes.", health.restarts
    )
    yield _Family(
        "interventions_total",
        "counter",
        "Times that the stall detector intervened, by what was wrong.",
        [({"kind": k}, n) for k, n in msgspec.structs.asdict(health.interventions).items()],
    )
    if health.cpu_celsius is not None:
        yield _gauge("cpu_celsius", "Temperature of the processor in °C.", health.cpu_celsius)


def _histogram(latency: Latency) -> list[str]:
    name = f"{_PREFIX}change_latency_seconds"
    bounds = [*(f"{bound / 1000:g}" for bound in latency.bounds_ms), "+Inf"]
    counts = cumulative(latency)
    return [
        f"# HELP {name} Time from a change of a setting to the first audio block with it.",
        f"# TYPE {name} histogram",
        *(
            f'{name}_bucket{{le="{bound}"}} {count}'
            for bound, count in zip(bounds, counts, strict=True)
        ),
        f"{name}_sum {latency.sum_ms / 1000:.12g}",
        f"{name}_count {counts[-1]}",
    ]


def _gauge(name: str, about: str, value: float) -> _Family:
    return _Family(name, "gauge", about, [({}, value)])


def _counter(name: str, about: str, value: float) -> _Family:
    return _Family(name, "counter", about, [({}, value)])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
