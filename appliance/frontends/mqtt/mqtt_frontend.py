"""The control called ``mqtt``: the box on a broker, for Home Assistant and everybody else.

What is said there tells :mod:`appliance.frontends.mqtt.messages`, how :mod:`mqtt_session` and
:mod:`mqtt_link`, and how Home Assistant finds it :mod:`appliance.frontends.mqtt.homeassistant`.
"""

from __future__ import annotations

from appliance.config.schema import Mqtt
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


class MqttFrontend:
    """See :class:`appliance.frontends.Frontend`; ``config`` names a host."""

    name = "mqtt"

    def __init__(self, config: Mqtt) -> None:
        self._config = config

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        # Here, when the music has begun: paho-mqtt takes a small machine a while to import.
        from appliance.frontends.mqtt.session import Session

        session = Session(self._config, settings, box)
        try:
            await session.work()
        finally:
            await session.close()
