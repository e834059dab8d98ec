"""The web server's password, stored as a hash.

The hash is scrypt (RFC 7914) with the parameters that OWASP recommends where memory is scarce:
N = 2^14, r = 8, p = 5. One hash takes 16 MiB and a few tenths of a second on one core of a PC, or
a few seconds on a Raspberry Pi Zero 2. :mod:`appliance.frontends.web.sessions` has the sessions of
clients that have logged in.

Source of the parameters:
https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final

import msgspec

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError, UsageError
from appliance.frontends.web import sessions
from appliance.frontends.web.sessions import Session, SessionKey

MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 200

FILE_NAME: Final = "web.json"
"""In the state folder: the key that signs sessions, and the password set on the page."""

_FILE_MODE: Final = 0o600

_COST: Final = (14, 8, 5)
"""log2 N, r, p."""

_MAX_COST: Final = (17, 16, 16)
"""The highest cost that a hash in the config may ask for: 256 MiB."""

_HASH: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{11,86})\$([\w+/]{43})", re.ASCII
)
"""The format of passlib: base64 without padding."""


class _Credentials(msgspec.Struct):
    """The content of the file."""

    key: str
    """Signs sessions; hexadecimal."""
    password_hash: str = ""


def check_new_password(password: str) -> None:
    """Check that ``password`` may be set.

    Raises:
        UsageError: it is too short or too long.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise UsageError(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters; "
            f"this one has {len(password)}"
        )


def hash_password(password: str) -> str:
    """Return a new hash of ``password`` with a random salt; takes up to seconds."""
    salt = secrets.token_bytes(16)
    log_n, r, p = _COST
    return f"$scrypt$ln={log_n},r={r},p={p}${_base64(salt)}${_base64(_scrypt(password, salt))}"


def verify_password(password: str, password_hash: str) -> bool:
    """Return whether ``password_hash`` is a hash of ``password``; takes up to seconds."""
    match = _HASH.fullmatch(password_hash)
    if match is None or len(password) > MAX_CHARACTERS:
        return False
    log_n, r, p = (int(part) for part in match.groups()[:3])
    salt, expected = (base64.b64decode(part + "===") for part in match.groups()[3:])
    return hmac.compare_digest(_scrypt(password, salt, (log_n, r, p)), expected)


def check_hash(password_hash: str) -> None:
    """Check that ``password_hash`` is a hash that :func:`hash_password` may have made.

    Raises:
        UsageError: it is not, or verifying it would cost too much.
    """
    match = _HASH.fullmatch(password_hash)
    cost = [int(part) for part in match.groups()[:3]] if match else []
    if not cost or any(not 1 <= c <= limit for c, limit in zip(cost, _MAX_COST, strict=True)):
        raise UsageError(
            "[web] password_hash is not a valid hash; run `bachbox hash-password` and use the "
            "line that it prints"
        )


class Passwords:
    """The current password and its sessions.

    Args:
        folder: the state folder.
        configured: the hash in the config; "" where there is none, so that the password is
            the one that was set on the page.

    Raises:
        UsageError: ``configured`` is not a valid hash.
        BachboxError: the file in ``folder`` is damaged.
    """

    def __init__(self, folder: Path, configured: str = "") -> None:
        self._path = folder / FILE_NAME
        if configured:
            check_hash(configured)
        self.configured = bool(configured)
        self._credentials = self._read()
        if configured:
            self._credentials.password_hash = configured

    @property
    def is_set(self) -> bool:
        """Whether there is a password."""
        return bool(self._credentials.password_hash)

    def verify(self, password: str) -> bool:
        """Return whether ``password`` is the current one; takes up to seconds."""
        return verify_password(password, self._credentials.password_hash)

    def set_password(self, password: str) -> None:
        """Replace the password, which ends all sessions; takes up to seconds.

        Raises:
            UsageError: it is too short or too long, or the config has a password.
            BachboxError: it cannot be saved.
        """
        if self.configured:
            raise UsageError(
                "the password is set in the config file ([web] password_hash); change it there"
            )
        check_new_password(password)
        credentials = _Credentials(secrets.token_hex(32), hash_password(password))
        self._write(credentials)
        self._credentials = credentials

    def begin_session(self) -> Session:
        """Return a new session, valid for :data:`appliance.frontends.web.sessions.SESSION_S`."""
        return sessions.begin(self._session_key)

    def session(self, token: str) -> Session | None:
        """Return the session of a cookie; None where it is forged, expired or was ended."""
        return sessions.find(self._session_key, token) if self.is_set else None

    @property
    def _session_key(self) -> SessionKey:
        # The hash is part of it: a password that the config replaced ends all sessions too.
        return SessionKey(bytes.fromhex(self._credentials.key), self._credentials.password_hash)

    def _read(self) -> _Credentials:
        try:
            credentials = msgspec.json.decode(self._path.read_bytes(), type=_Credentials)
            bytes.fromhex(credentials.key)
            if credentials.password_hash:
                check_hash(credentials.password_hash)
        except FileNotFoundError:
            credentials = _Credentials(secrets.token_hex(32))
            # If the key cannot be saved, sessions end with this process, but the page works.
            with contextlib.suppress(BachboxError):
                self._write(credentials)
        except (OSError, ValueError, UsageError) as error:
            # Starting without a password would open the box to anyone who can damage the file.
            raise BachboxError(
                f"damaged ({error}), so there is no page",
                path=self._path,
                remedy="remove the file and set the password again",
            ) from error
        return credentials

    def _write(self, credentials: _Credentials) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, msgspec.json.encode(credentials), _FILE_MODE)
        except OSError as error:
            raise BachboxError(
                f"cannot save the password ({error.strerror})", path=self._path
            ) from error


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int] = _COST) -> bytes:
    log_n, r, p = cost
    memory_bytes = 128 * r * (2**log_n + p + 2)
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"),
        salt=salt, n=2**log_n, r=r, p=p, maxmem=2 * memory_bytes, dklen=32,
    )  # fmt: skip


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
