"""Health for people, for Prometheus and for service monitors; and tests of the hardware."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.config.gpio_schema import Gpio
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.mqtt.topics import box_id
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.health_monitor import (
    SAMPLE_INTERVAL_S,
    HealthMonitor,
    Latency,
    Sample,
)
from appliance.frontends.web.json_io import json_response
from appliance.frontends.web.metrics import CONTENT_TYPE, exposition
from appliance.frontends.web.routing import Permission, RouteTable
from appliance.state.box_status import Status
from appliance.state.settings import Action


class Report(msgspec.Struct, frozen=True):
    """What the health page shows."""

    healthy: bool
    status: Status
    sample_interval_s: float
    samples: list[Sample]
    """The oldest first."""
    latency: Latency
    log: list[str]
    """The last lines, the oldest first."""
    mqtt_topic: str
    """What its topics on the MQTT broker begin with; "" without a broker."""


class CheckResult(msgspec.Struct, frozen=True):
    """The result of a test."""

    ok: bool
    detail: str
    """A sentence for people."""


class InputEvents(msgspec.Struct, frozen=True):
    """The latest events of knobs and buttons."""

    configured: bool
    """The config has knobs or buttons."""
    events: list[InputEvent]
    """The oldest first."""


class Liveness(msgspec.Struct, frozen=True):
    """Whether Bachbox works."""

    healthy: bool
    condition: str
    """See :class:`NowPlaying`."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of health and metrics, and start to monitor the health."""
    box = context.box
    monitor = HealthMonitor(context.settings, box)
    context.start_task(monitor.run())
    context.on_close(monitor.close)

    @table.route(
        "GET", "/healthz", needs=Permission.NONE, returns=Liveness,
        other_responses={503: (Liveness, "No sound is playing")},
        summary="Whether sound is playing, or would be if it were not paused",
    )  # fmt: skip
    async def get_liveness(_request: web.Request) -> web.Response:
        healthy = monitor.is_healthy()
        condition = box.now_playing().condition
        return json_response(Liveness(healthy, condition), 200 if healthy else 503)

    @table.route(
        "GET", "/metrics", needs=Permission.READ, media_types=("text/plain",),
        summary="Metrics for Prometheus",
    )  # fmt: skip
    async def get_metrics(_request: web.Request) -> web.Response:
        status, counts = await asyncio.to_thread(lambda: (box.status(), box.workload()))
        text = exposition(status, counts, monitor.latency(), healthy=monitor.is_healthy())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    @table.route(
        "GET", "/api/health", needs=Permission.READ, returns=Report,
        summary="Health now and in the last five minutes, and the log",
    )  # fmt: skip
    async def get_report(_request: web.Request) -> web.Response:
        status = await asyncio.to_thread(box.status)
        report = Report(
            healthy=monitor.is_healthy(),
            status=status,
            sample_interval_s=SAMPLE_INTERVAL_S,
            samples=list(monitor.samples),
            latency=monitor.latency(),
            log=box.recent_log(),
            mqtt_topic=_mqtt_topic(context.config.mqtt),
        )
        return json_response(report)

    _add_test_routes(table, context)


def _mqtt_topic(mqtt: Mqtt) -> str:
    return f"{mqtt.root_topic}/{box_id(mqtt.id)}" if mqtt.host else ""


def _add_test_routes(table: RouteTable, context: WebContext) -> None:
    broker_lock = asyncio.Lock()

    @table.route(
        "GET", "/api/input-events", needs=Permission.READ, returns=InputEvents,
        summary="The latest events of knobs and buttons",
    )  # fmt: skip
    async def get_input_events(_request: web.Request) -> web.Response:
        events = InputEvents(context.config.gpio != Gpio(), list(context.input_events))
        return json_response(events)

    @table.route(
        "POST", "/api/tests/tone", needs=Permission.CONTROL, returns=CheckResult,
        summary="Play a test tone of one second",
    )  # fmt: skip
    async def post_tone(_request: web.Request) -> web.Response:
        context.settings.act(Action.TEST_TONE)
        return json_response(CheckResult(True, "a tone of one second is played"))

    @table.route(
        "POST", "/api/tests/broker", needs=Permission.CONTROL, returns=CheckResult, errors=(503,),
        summary="Connect to the MQTT broker",
    )  # fmt: skip
    async def post_broker(_request: web.Request) -> web.Response:
        mqtt = context.config.mqtt
        if not mqtt.host:
            return json_response(
                CheckResult(False, "no broker is configured ([mqtt] host is empty)")
            )
        # Late: paho-mqtt takes a small machine a while to import.
        from appliance.frontends.mqtt.broker_check import check_broker

        try:
            async with broker_lock:
                detail = await asyncio.to_thread(check_broker, mqtt)
        except BachboxError as error:
            return json_response(CheckResult(False, str(error)))
        return json_response(CheckResult(True, f"the broker at {detail}"))
