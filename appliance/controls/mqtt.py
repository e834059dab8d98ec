"""The control called ``mqtt``: the box on a broker, for Home Assistant and everybody else.

What is said there tells :mod:`appliance.controls.mqtt_messages`, how :mod:`mqtt_session` and
:mod:`mqtt_link`, and how Home Assistant finds it :mod:`appliance.controls.homeassistant`.
"""

from __future__ import annotations

from appliance.sections import Mqtt
from appliance.settings import Settings
from appliance.status import Box


class MqttControl:
    """See :class:`appliance.controls.Control`; ``config`` names a host."""

    name = "mqtt"

    def __init__(self, config: Mqtt) -> None:
        self._config = config

    async def run(self, settings: Settings, box: Box) -> None:
        # Here, when the music has begun: paho-mqtt takes a small machine a while to import.
        from appliance.controls.mqtt_session import Session

        session = Session(self._config, settings, box)
        try:
            await session.work()
        finally:
            await session.close()
