"""The page behind the real nginx and Caddy, with the lines of docs/proxies.md, below a path."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from appliance.config import loader
from appliance.config.loader import ConfigError
from appliance.frontends.web.passwords import hash_password
from appliance.frontends.web.proxies import TrustedProxies
from tests.support.broker import free_port, program
from tests.support.browser import chromium, page
from tests.support.command import home
from tests.support.web_server import WebBox, eventually, playing_web_box

DOCUMENT = (Path(__file__).parents[3] / "docs" / "proxies.md").read_text()

PASSWORD = "a good password"


def documented(language: str) -> str:
    """The first block of code in ``language`` in the document."""
    found = re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    return found[1]


@contextlib.contextmanager
def nginx(folder: Path, server: str) -> Iterator[None]:
    config = folder / "nginx.conf"
    config.write_text(
        f"pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\ndaemon off;\nevents {{}}\n"
        f"http {{\naccess_log off;\nclient_body_temp_path {folder}/body;\n"
        f"proxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/f;\n"
        f"uwsgi_temp_path {folder}/u;\nscgi_temp_path {folder}/s;\n{server}\n}}\n"
    )
    with running(program("nginx"), "-p", str(folder), "-c", str(config)):
        yield


@contextlib.contextmanager
def running(*command: str, folder: Path | None = None) -> Iterator[None]:
    env = home(folder) if folder else None
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(120)


class Proxied(NamedTuple):
    """A box behind a proxy."""

    box: WebBox
    port: int
    prefix: str = "/bach/"

    def request(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        headers: dict[str, str] | None = None,
        client: str = "127.0.0.1",
    ) -> tuple[int, bytes]:
        """Send a request as the client with the address ``client`` would through a browser."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=120, source_address=(client, 0)
        )
        own = {"Host": "music.example", "Content-Type": "application/json"} | (headers or {})
        with contextlib.closing(connection):
            connection.request(
                method, self.prefix + path, json.dumps(content) if content else None, own
            )
            response = connection.getresponse()
            return response.status, response.read()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def proxied(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp(request.param)
    lines = "".join(
        line + "\n" for line in documented("toml").splitlines() if re.match("allowed|trusted", line)
    )
    lines += f"anonymous_access = 'read'\npassword_hash = '{hash_password(PASSWORD)}'"
    with playing_web_box(folder, lines) as box:
        port = free_port()
        text = documented(request.param).replace("127.0.0.1:8080", f"127.0.0.1:{box.port}")
        if request.param == "nginx":
            proxy = nginx(folder, text.replace("listen 80", f"listen 127.0.0.1:{port}"))
        else:
            file = folder / "Caddyfile"
            file.write_text(
                "{\nadmin off\nauto_https off\n}\n"
                + text.replace("http://music.example", f"http://music.example:{port}")
            )
            proxy = running(
                "caddy", "run", "--adapter", "caddyfile", "--config", str(file), folder=folder
            )
        with proxy:
            one = Proxied(box, port)
            host = {
                "Host": "music.example" if request.param == "nginx" else f"music.example:{port}"
            }
            eventually(lambda: one.request("GET", "healthz", headers=host)[0] == 200)
            yield one


@pytest.fixture
def host(proxied: Proxied) -> str:
    return f"music.example:{proxied.port}"


def test_the_page_and_its_files_are_below_the_path(proxied: Proxied, host: str) -> None:
    status, content = proxied.request("GET", "", headers={"Host": host})
    assert status == 200
    names = re.findall(r'(?:src|href)="((?!#|\./)[^"]+)"', content.decode())
    assert "static/app.js" in names
    for name in names:
        assert not name.startswith("/")
        assert proxied.request("GET", name, headers={"Host": host})[0] == 200, name


def test_settings_change_through_the_proxy_by_http_and_websocket(
    proxied: Proxied, host: str
) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    base = f"http://127.0.0.1:{proxied.port}/bach/"

    async def steer() -> None:
        # The cookie is for any path, so that it is sent below this one.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, headers=headers) as session:
            answer = await session.post(f"{base}api/session", json={"password": PASSWORD})
            token = {"X-CSRF-Token": (await answer.json())["csrf_token"]}
            answer = await session.patch(f"{base}api/settings", json={"tempo": 111}, headers=token)
            assert answer.status == 200, await answer.text()
            async with session.ws_connect(f"{base}api/live") as live:
                assert (await live.receive_json())["type"] == "hello"
                await live.send_json({"id": 7, "set": {"volume": "+1"}})
                while (message := await live.receive_json())["type"] not in ("done", "refused"):
                    pass
                assert message == {"type": "done", "id": 7, "warnings": []}

    asyncio.run(steer())
    assert proxied.box.settings["tempo"] == 111


def test_another_site_is_still_refused(proxied: Proxied, host: str) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = proxied.request("GET", "api/now", headers={"Host": host} | headers)
        assert answer[0] == 403
    assert proxied.box.request("GET", "/api/now", headers={"Host": "evil.example"}).status == 421


def test_wrong_passwords_of_one_client_do_not_shut_out_another(proxied: Proxied, host: str) -> None:
    def log_in(password: str, client: str, **more: str) -> int:
        headers = {"Host": host} | more
        content = {"password": password}
        return proxied.request("POST", "api/session", content, headers=headers, client=client)[0]

    # What a client itself claims to be does not count. A try comes free every 12 s, and on a busy
    # machine perhaps between two of these: then the address runs out of them again.
    claimed = {"X-Forwarded-For": "127.0.0.9"}
    eventually(
        lambda: log_in("wrong", "127.0.0.2") == log_in(PASSWORD, "127.0.0.2", **claimed) == 429
    )
    assert log_in(PASSWORD, "127.0.0.3") == 200


def test_the_page_works_in_a_browser_below_the_path_and_in_a_frame(tmp_path: Path) -> None:
    port, outer_port = free_port(), free_port()
    site = f"http://localhost:{outer_port}"
    lines = f'frame_ancestors = ["{site}"]\ntrusted_proxies = ["127.0.0.1"]'
    frame = f'<iframe src="http://127.0.0.1:{port}/bach/" width=900 height=700></iframe>'
    with playing_web_box(tmp_path, lines) as box:
        text = documented("nginx").replace("127.0.0.1:8080", f"127.0.0.1:{box.port}")
        inner = text.replace("listen 80", f"listen 127.0.0.1:{port}")
        outer = (
            f"server {{ listen 127.0.0.1:{outer_port}; location / {{ default_type text/html;"
            f" return 200 '<!doctype html>{frame}'; }} }}"
        )
        with nginx(tmp_path, inner + outer), chromium() as browser:
            with page(browser, f"http://127.0.0.1:{port}/bach/") as one:
                one.get_by_role("button", name="Next piece").click()
                eventually(lambda: box.get("/api/now")["piece"] >= 2)
            with page(browser, f"{site}/", ready=False) as one:
                inside = one.frame_locator("iframe")
                inside.get_by_role("button", name="Pause", exact=True).click()
                eventually(lambda: box.get("/api/now")["condition"] == "paused")
                inside.get_by_role("button", name="Play", exact=True).click()
                eventually(lambda: box.get("/api/now")["condition"] == "playing")
        assert box.get("/api/status")["health"]["restarts"] == 0


def test_behind_nginx_with_its_defaults_the_sentence_names_host(tmp_path: Path) -> None:
    with playing_web_box(tmp_path) as box:
        port = free_port()
        server = (
            f"server {{ listen 127.0.0.1:{port};"
            f" location / {{ proxy_pass http://127.0.0.1:{box.port}; }} }}"
        )
        with nginx(tmp_path, server):
            one = Proxied(box, port, "/")
            eventually(lambda: one.request("GET", "healthz")[0] == 200)
            own = {"Origin": "http://music.example"}
            status, content = one.request("PATCH", "api/settings", {"tempo": 99}, headers=own)
            assert status == 403
            assert b"has to pass on the Host header" in content
            # With TLS in front, the browser itself says that this is the page's own request.
            own = {"Origin": "https://music.example", "Sec-Fetch-Site": "same-origin"}
            assert one.request("PATCH", "api/settings", {"tempo": 99}, headers=own)[0] == 200
            assert box.settings["tempo"] == 99


def test_behind_home_assistants_ingress(tmp_path: Path) -> None:
    """With the headers of homeassistant.components.hassio.ingress; there is no Supervisor here."""
    site = "http://homeassistant.local:8123"
    lines = (
        f'allowed_hosts = ["homeassistant.local"]\nframe_ancestors = ["{site}"]\n'
        'trusted_proxies = ["127.0.0.1", "172.30.32.0/23"]'
    )
    headers = {
        "X-Hass-Source": "core.ingress",
        "X-Ingress-Path": "/api/hassio_ingress/a-token",
        "X-Forwarded-For": "192.168.1.7, 172.30.32.1",
        "X-Forwarded-Host": "homeassistant.local:8123",
        "X-Forwarded-Proto": "http",
    }
    with playing_web_box(tmp_path, lines) as box:
        found = box.request("GET", "/", headers=headers)
        assert found.status == 200
        assert f"frame-ancestors 'self' {site}" in found.headers["Content-Security-Policy"]
        assert "X-Frame-Options" not in found.headers
        own = headers | {"Origin": site}
        assert box.request("PATCH", "/api/settings", {"tempo": 99}, headers=own).status == 200
        assert box.settings["tempo"] == 99
        foreign = headers | {"Origin": "http://evil.example"}
        assert box.request("PATCH", "/api/settings", {"tempo": 98}, headers=foreign).status == 403


def test_the_box_answers_to_the_names_that_avahi_gives(tmp_path: Path) -> None:
    from socket import gethostname

    with playing_web_box(tmp_path) as box:
        name = gethostname().partition(".")[0]
        for host, status in [
            (f"{name}-2.local", 200), (f"{name}-13.local", 200), (f"{name}-2.evil.example", 421),
            (f"{name}-x.local", 421), (f"{name}-2.local.evil.example", 421),
        ]:  # fmt: skip
            headers = {"Host": f"{host}:{box.port}"}
            assert box.request("GET", "/api/now", headers=headers).status == status, host
        for path in ("/", "/api/status"):
            answer = box.request("GET", path)
            assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("::ffff:127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "6.6.6.6, 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "10.1.2.3, 172.30.32.2", "10.1.2.3"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "10.1.2.3, nonsense", "127.0.0.1"),
        ("192.168.0.9", "10.1.2.3", "192.168.0.9"),
    ],
)
def test_only_a_trusted_proxy_says_who_the_client_is(
    remote: str, forwarded: str, client: str
) -> None:
    proxies = TrustedProxies(["127.0.0.1", "172.30.32.0/23"])
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Host": "a.example", "Host": "b.example"}
    request: web.Request = make_mocked_request("GET", "/", headers)
    request = request.clone(remote=remote)
    assert proxies.client(request) == client
    is_trusted = remote != "192.168.0.9"
    assert proxies.host(request) == ("a.example" if is_trusted else "b.example")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('trusted_proxies = ["10.0.0.0/99"]', "trusted_proxies: '10.0.0.0/99' is not an address"),
        ('trusted_proxies = ["nginx"]', "trusted_proxies: 'nginx' is not an address"),
        ('frame_ancestors = ["homeassistant.local"]', "frame_ancestors"),
        ('frame_ancestors = ["http://a; script-src *"]', "frame_ancestors"),
    ],
)
def test_a_wrong_value_is_named_when_the_file_is_read(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        loader.parse(f"[web]\n{line}", Path("bachbox.toml"))
    assert f"bachbox.toml: [web] {sentence}" in str(error.value)
