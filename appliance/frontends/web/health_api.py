"""How the box is: for people, for Prometheus, for whoever asks whether it lives; and its tests."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.config.gpio_schema import Gpio
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.web.context import Permission, WebContext, may
from appliance.frontends.web.health_monitor import SAMPLE_S, Latency, Monitor, Sample
from appliance.frontends.web.json_io import answer
from appliance.frontends.web.metrics import CONTENT_TYPE, exposition
from appliance.state.box_status import Status
from appliance.state.settings import Action


class Report(msgspec.Struct, frozen=True):
    """What the health page shows."""

    well: bool
    status: Status
    every_s: float
    """The time between two samples."""
    samples: list[Sample]
    """The oldest first."""
    latency: Latency
    log: list[str]


class CheckResult(msgspec.Struct, frozen=True):
    """What came of a test."""

    ok: bool
    detail: str


class InputEvents(msgspec.Struct, frozen=True):
    """What the knobs' control has felt lately, the oldest first."""

    wired: bool
    touches: list[InputEvent]


class Liveness(msgspec.Struct, frozen=True):
    """Whether it lives."""

    well: bool
    condition: str


def routes(house: WebContext) -> list[web.RouteDef]:
    """Health, metrics and tests."""
    box = house.box
    monitor = Monitor(house.settings, box)
    house.spawn(monitor.work())
    house.at_end(monitor.close)
    asking = asyncio.Lock()

    @may(Permission.NOTHING)
    async def get_life(_request: web.Request) -> web.Response:
        well = monitor.is_well()
        return answer(Liveness(well, box.now_playing().condition), 200 if well else 503)

    async def get_metrics(_request: web.Request) -> web.Response:
        status, counts = await asyncio.to_thread(lambda: (box.status(), box.counts()))
        text = exposition(status, counts, monitor.latency(), well=monitor.is_well())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def get_report(_request: web.Request) -> web.Response:
        status = await asyncio.to_thread(box.status)
        return answer(
            Report(
                monitor.is_well(),
                status,
                SAMPLE_S,
                list(monitor.samples),
                monitor.latency(),
                box.said(),
            )
        )

    async def post_tone(_request: web.Request) -> web.Response:
        house.settings.act(Action.TEST_TONE)
        return answer(CheckResult(True, "a second of A is played"))

    async def post_broker(_request: web.Request) -> web.Response:
        mqtt = house.whole_config.mqtt
        if not mqtt.host:
            return answer(CheckResult(False, "none is configured ([mqtt] host is empty)"))
        from appliance.frontends.mqtt.broker_check import try_broker

        async with asking:
            trial = await asyncio.to_thread(try_broker, mqtt)
        return answer(CheckResult(trial.ok, "; ".join(filter(None, (trial.detail, trial.remedy)))))

    async def get_touches(_request: web.Request) -> web.Response:
        return answer(InputEvents(house.whole_config.gpio != Gpio(), list(house.felt)))

    return [
        web.get("/healthz", get_life),
        web.get("/metrics", get_metrics),
        web.get("/api/health", get_report),
        web.get("/api/touches", get_touches),
        web.post("/api/tests/tone", post_tone),
        web.post("/api/tests/broker", post_broker),
    ]
