#!/usr/bin/python3
"""A Wi-Fi of the box's own, ``bachbox-setup``, with a page that asks for the house's Wi-Fi.

Runs as bachbox-hotspot.service. As long as the box has no address, from a cable or the Wi-Fi in
bachbox.txt, the hotspot is on; what is entered on its page goes into bachbox.txt, and the Wi-Fi is
tried again. Nothing here touches the music. The page is shown for every address, which phones take
for a network with a log-in, so that they open it by themselves.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import settings

DEVICE = "wlan0"
NAME = "bachbox-setup"
PASSWORD = "bachbox-setup"  # noqa: S105
"""Unless bachbox.txt has a ``setup_password``. WPA2, so that nobody can listen without it."""
ADDRESS = "192.168.77.1"
PORT = 8081
"""Port 80 of the hotspot leads here; Bachbox's own page has port 80 everywhere else."""
UNIT = f"wpa_supplicant@{DEVICE}.service"
JOIN_S = 60.0
"""How long cable and Wi-Fi may take to give the box an address."""
TRY_AGAIN_S = 300.0
"""After so long without a visitor, the Wi-Fi in bachbox.txt is tried again: the router was off."""
SCAN_S = 20.0
"""So long networks are looked for if none is found."""
MAX_BODY_BYTES = 4096
TIMEOUT_S = 10.0

_FILE = Path(__file__).with_name("hotspot.html")


def is_connected(own: str = ADDRESS) -> bool:
    """Whether the box has an address in some network, other than ``own``."""
    command = ["ip", "-json", "address", "show", "up", "scope", "global"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    links = json.loads(said or "[]")
    return any(
        address.get("local") not in (None, own)
        for link in links
        for address in link.get("addr_info", [])
    )


def access_point(password: str, country: str) -> str:
    """Return wpa_supplicant's config for the hotspot."""
    key = settings.wpa_config({"wifi_name": NAME, "wifi_password": password})
    psk = re.findall(r"\tpsk=\w+\n", key)[0]
    return (
        f"ctrl_interface=/run/wpa_supplicant\ncountry={country}\nnetwork={{\n"
        f"\tmode=2\n\tfrequency=2437\n\tssid={NAME.encode().hex()}\n"
        f"\tkey_mgmt=WPA-PSK\n\tproto=RSN\n\tpairwise=CCMP\n{psk}}}\n"
    )


def dnsmasq(device: str, leases: Path) -> list[str]:
    """Return the command that gives addresses, and this box's own for every name."""
    return [
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
        *("--no-hosts", "--no-resolv", "--bind-interfaces", "--except-interface=lo"),
        *(f"--interface={device}", f"--address=/#/{ADDRESS}", f"--dhcp-leasefile={leases}"),
        f"--dhcp-range={ADDRESS.rpartition('.')[0]}.10,{ADDRESS.rpartition('.')[0]}.250,10m",
        "--dhcp-authoritative",
    ]


def redirect(device: str) -> str:
    """Return nftables' rules by which port 80 of ``device`` leads to the page."""
    return (
        "table ip bachbox_setup {\n"
        "  chain prerouting {\n"
        "    type nat hook prerouting priority dstnat;\n"
        f'    iifname "{device}" tcp dport 80 redirect to :{PORT}\n'
        "  }\n}\n"
    )


def entered(text: str, name: str, password: str, is_open: bool) -> str:
    """Return bachbox.txt with this Wi-Fi; all else stays as it is.

    Args:
        text: the file as it is.
        name: the name of the Wi-Fi.
        password: its password.
        is_open: it has none.

    Raises:
        ValueError: this cannot be a Wi-Fi; the sentences are its arguments.
    """
    lines = {
        "wifi_name": _quoted(name),
        "wifi_password": _quoted(password),
        "wifi_open": "true" if is_open and not password else "false",
    }
    kept, at, inside = [], None, False
    for line in text.split("\n"):
        if line.lstrip().startswith("["):
            inside = settings.split(line)[0] != ""
        key = re.match(r"\s*([\w-]+)\s*=", line)
        if inside and key and key[1] in lines:
            continue
        kept.append(line)
        if inside and at is None:
            at = len(kept)
    if at is None:
        kept.insert(0, "[card]")
        at = 1
    kept[at:at] = [f"{key} = {value}" for key, value in lines.items()]
    new = "\n".join(kept)
    _check(new, name, password)
    return new


def _quoted(value: str) -> str:
    mark = "'" if re.search(r"[\"“”„]\s+#", value) else '"'
    return f"{mark}{value}{mark}"


def _check(text: str, name: str, password: str) -> None:
    before = list(settings.problems)
    settings.problems.clear()
    parsed = settings.parse(settings.split(text)[0])
    config = settings.wpa_config(parsed)
    found = [sentence for sentence in settings.problems if "wifi" in sentence.lower()]
    found += [sentence for sentence in settings.problems if "Wi-Fi" in sentence]
    settings.problems[:] = before
    read = parsed.get("wifi_name"), parsed.get("wifi_password")
    if not name:
        raise ValueError("Enter the name of the Wi-Fi.")
    if not config or read != (name, password):
        sentences = [re.sub(r"^line \d+: ", "", one) for one in found]
        raise ValueError(*(dict.fromkeys(sentences) or ["This cannot be a Wi-Fi's name."]))


class Page(ThreadingHTTPServer):
    """The page; ``changed`` is set when there is a Wi-Fi to try."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], names: list[str]) -> None:
        super().__init__(address, _Handler)
        self.names = names
        """Of the networks around, the strongest first."""
        self.changed = threading.Event()
        self.visited_at = time.monotonic()


class _Handler(BaseHTTPRequestHandler):
    server: Page
    timeout = TIMEOUT_S
    server_version = "Bachbox"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(200, _form(self.server.names))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._answer(413, _form(self.server.names, "This is too long."))
            return
        body = self.rfile.read(int(length)).decode("utf-8", errors="replace")
        fields = {key: value[-1] for key, value in parse_qs(body, keep_blank_values=True).items()}
        name, password = fields.get("name", "").strip(), fields.get("password", "")
        try:
            text = entered(settings.read(settings.TEXT), name, password, "open" in fields)
            settings.write_to_card(settings.TEXT, text)
        except ValueError as error:
            self._answer(422, _form(self.server.names, " ".join(error.args), name))
        except OSError as error:
            sentence = f"The card cannot be written ({error.strerror}); edit bachbox.txt on it."
            self._answer(500, _form(self.server.names, sentence, name))
        else:
            self._answer(200, _done(name))
            self.server.changed.set()

    def _answer(self, status: int, page: str) -> None:
        content = page.encode()
        self.server.visited_at = time.monotonic()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
        )
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Passwords and phones are nobody's business."""


def _form(names: list[str], problem: str = "", name: str = "") -> str:
    options = "".join(f'<option value="{html.escape(one)}">' for one in names)
    form = _FILE.read_text().replace("{options}", options).replace("{name}", html.escape(name))
    said = f'<p role="alert">{html.escape(problem)}</p>' if problem else ""
    return form.replace("{problem}", said)


def _done(name: str) -> str:
    page = _FILE.read_text()
    begin, end = page.index("<form"), page.index("</form>") + len("</form>")
    said = (
        f"<p>The box now joins <b>{html.escape(name)}</b>. Join it with this device too, and open "
        "<b>http://bachbox.local</b></p><p>If the box cannot join it, "
        f"<b>{NAME}</b> is there again in about two minutes.</p>"
    )
    return page[:begin].replace("{problem}", "") + said + page[end:]


def networks() -> list[str]:
    """Return the names of the networks around, the strongest first; takes some seconds."""
    config = settings.RUN / "scan.conf"
    settings.write("scan.conf", "ctrl_interface=/run/wpa_supplicant\n")
    with _running(["wpa_supplicant", f"-c{config}", f"-i{DEVICE}"]):
        time.sleep(2)
        client = ["wpa_cli", "-i", DEVICE]
        # A scan of all channels takes some seconds, and none may begin during another.
        deadline = time.monotonic() + SCAN_S
        while True:
            subprocess.run([*client, "scan"], capture_output=True, check=False)
            time.sleep(5)
            found = subprocess.run(
                [*client, "scan_results"], capture_output=True, text=True, check=False
            )
            names = scanned(found.stdout)
            if names or time.monotonic() > deadline:
                return names


def scanned(results: str) -> list[str]:
    """Return the names in what ``wpa_cli scan_results`` says, the strongest first."""
    rows = [line.split("\t") for line in results.splitlines()]
    heard = [
        (int(row[2]), row[4]) for row in rows if len(row) == 5 and row[2].lstrip("-").isdigit()
    ]
    # What wpa_cli cannot print stands as \xc3 and the like.
    plain = [
        (level, re.sub(r"(?:\\x[0-9a-f]{2})+", _unescaped, name).replace('\\"', '"'))
        for level, name in sorted(heard, reverse=True)
    ]
    return list(dict.fromkeys(name for _, name in plain if name and name != NAME))


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("\\x", "")).decode(errors="replace")


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def serving(device: str, names: list[str]) -> Iterator[Page]:
    """Serve page, names and addresses on ``device``, which is up and has :data:`ADDRESS`."""
    subprocess.run(["nft", "-f", "-"], input=redirect(device), text=True, check=True)
    try:
        with (
            _running(dnsmasq(device, settings.RUN / "leases")),
            Page((ADDRESS, PORT), names) as page,
        ):
            threading.Thread(target=page.serve_forever, daemon=True).start()
            yield page
            page.shutdown()
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "bachbox_setup"], check=False)


def open_hotspot(password: str, country: str, *, has_wifi: bool) -> None:
    """Keep the hotspot open until a Wi-Fi was entered, or the one there is to be tried again."""
    subprocess.run(["systemctl", "stop", UNIT], check=False)
    try:
        names = networks()
        settings.write("hotspot.conf", access_point(password, country))
        with _running(["wpa_supplicant", f"-c{settings.RUN / 'hotspot.conf'}", f"-i{DEVICE}"]):
            time.sleep(3)
            # From now on networkd leaves it alone: 09-hotspot.network.
            subprocess.run(["networkctl", "reconfigure", DEVICE], check=False)
            address = ["ip", "address", "replace", f"{ADDRESS}/24", "dev", DEVICE]
            subprocess.run(address, check=True)
            print(f"bachbox-hotspot: the Wi-Fi {NAME} is open", file=sys.stderr)
            with serving(DEVICE, names) as page:
                _await_change(page, has_wifi=has_wifi)
    finally:
        # Whatever went wrong, the Wi-Fi in bachbox.txt is tried again.
        subprocess.run(["ip", "address", "flush", "dev", DEVICE], check=False)
        subprocess.run(["systemctl", "restart", "bachbox-card.service"], check=False)
        subprocess.run(["systemctl", "start", UNIT], check=False)
        subprocess.run(["networkctl", "reconfigure", DEVICE], check=False)


def _await_change(page: Page, *, has_wifi: bool) -> None:
    while not page.changed.wait(5.0):
        quiet_s = time.monotonic() - page.visited_at
        if is_connected() or (has_wifi and quiet_s > TRY_AGAIN_S):
            return
    # So that the last answer arrives.
    time.sleep(2)


def main() -> None:
    """Open the hotspot as long as the box has no address."""
    while True:
        until = time.monotonic() + JOIN_S
        while time.monotonic() < until:
            if is_connected():
                return
            time.sleep(2)
        parsed = settings.parse(settings.split(settings.read(settings.TEXT))[0])
        password = parsed.get("setup_password", PASSWORD)
        if password == "" or not Path("/sys/class/net", DEVICE).exists():
            return
        has_wifi = bool(settings.wpa_config(parsed))
        open_hotspot(password or PASSWORD, parsed.get("wifi_country") or "DE", has_wifi=has_wifi)


if __name__ == "__main__":
    main()
