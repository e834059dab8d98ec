"""Says where the page is: a line in the log, and on a terminal a QR code for a phone."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Final

from appliance.config.schema import Web
from appliance.frontends.page_url import is_loopback, page_url

QR_CODE: Final = (sys.executable, "-m", "segno.cli", "--compact", "--border=2")
"""Prints its last argument as a QR code. A process of its own: segno takes 11 MB, and once only."""

_TIMEOUT_S: Final = 5.0

logger = logging.getLogger(__name__)


def announce(web: Web) -> None:
    """Log the page's address, and print it as a QR code if it is for phones, too.

    Args:
        web: its port is the one that the page has.
    """
    if is_loopback(web):
        logger.info("the page is at http://localhost:%d/, on this machine only", web.port)
    elif sys.stderr.isatty():
        url = page_url(web)
        logger.info("the page is at %s", url)
        _print_qr_code(url)
    else:
        # The name of this machine in the network takes a moment to find.
        threading.Thread(
            target=lambda: logger.info("the page is at %s", page_url(web)), daemon=True
        ).start()


def _print_qr_code(url: str) -> None:
    try:
        subprocess.run(
            [*QR_CODE, url],
            stdout=sys.stderr.fileno(),
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.debug("no QR code: %s", error)
