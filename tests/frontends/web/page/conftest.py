"""A box that plays on a sound card, with a broker, and a browser: the modules here share them.

``tests/conftest.py`` gives these modules to one worker.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.support.broker import Broker, broker
from tests.support.browser import NAME, chromium, page, unfold
from tests.support.priority import hurry_children
from tests.support.virtual_card import VirtualCard, virtual_card
from tests.support.web_server import WebBox, playing_web_box


@pytest.fixture(scope="package")
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        yield plugged_in


@pytest.fixture(scope="package")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with broker(tmp_path_factory.mktemp("broker")) as one:
        yield one


@pytest.fixture(scope="package")
def box(
    tmp_path_factory: pytest.TempPathFactory, card: VirtualCard, mosquitto: Broker
) -> Iterator[WebBox]:
    with playing_web_box(
        tmp_path_factory.mktemp("kitchen"),
        f'name = "Kitchen"\nallowed_hosts = ["{NAME}"]',
        f'[mqtt]\nhost = "127.0.0.1"\nport = {mosquitto.port}\nid = "kitchen"',
        output="default",
        environment=card.environment,
    ) as one:
        yield one


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        hurry_children()
        yield one


@pytest.fixture(scope="package")
def shown(browser: Browser, box: WebBox) -> Iterator[Page]:
    """The page as a phone at home opens it: by host name, without TLS."""
    url = f"http://{NAME}:{box.port}/"
    with page(browser, url, viewport={"width": 390, "height": 800}) as one:
        assert not one.evaluate("isSecureContext")
        unfold(one)
        yield one
