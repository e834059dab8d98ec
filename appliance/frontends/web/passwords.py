"""The page's password, hashed, and the signed sessions of those who said it.

The hash is scrypt's (RFC 7914) with the cost that OWASP gives for a machine with little memory:
N = 2^14, r = 8, p = 5, which is 16 MiB for some tenths of a second of a PC's core and some seconds
of a Raspberry Pi Zero's. Sessions are signed and kept nowhere, so they outlive a restart; a new
password ends them all.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.errors import BachboxError, UsageError

MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 200

SESSION_S: Final = 30 * 24 * 3600

FILE_NAME: Final = "page.json"
"""In the state folder: the key that signs sessions, and a password chosen on the page."""

_COST: Final = (14, 8, 5)
"""log2 N, r, p."""

_MAX_COST: Final = (17, 16, 16)
"""What a hash in the config may ask for: 256 MiB."""

_HASH: Final = re.compile(
    r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/]{11,86})\$([\w+/]{43})", re.ASCII
)
"""As passlib writes it: base64 without padding."""


class _Kept(msgspec.Struct):
    key: str
    password_hash: str = ""


class Session(NamedTuple):
    """One browser's right to steer."""

    token: str
    """For the cookie."""
    csrf: str
    """For the header of everything that changes something."""


def check_new(password: str) -> None:
    """Raises UsageError for a password that will not do."""
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise UsageError(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters; "
            f"this one has {len(password)}"
        )


def hash_of(password: str) -> str:
    """A new hash of ``password``, with a salt of its own; takes its time."""
    salt = secrets.token_bytes(16)
    log_n, r, p = _COST
    return f"$scrypt$ln={log_n},r={r},p={p}${_base64(salt)}${_base64(_scrypt(password, salt))}"


def fits(password: str, hashed: str) -> bool:
    """Whether ``hashed`` is of ``password``; takes its time."""
    found = _HASH.fullmatch(hashed)
    if found is None or len(password) > MAX_CHARACTERS:
        return False
    log_n, r, p = (int(part) for part in found.groups()[:3])
    salt, wanted = (base64.b64decode(part + "===") for part in found.groups()[3:])
    return hmac.compare_digest(_scrypt(password, salt, (log_n, r, p)), wanted)


def check_hash(hashed: str) -> None:
    """Raises UsageError where ``hashed`` (not empty) is no hash of ours."""
    found = _HASH.fullmatch(hashed)
    costs = [int(part) for part in found.groups()[:3]] if found else []
    if not costs or any(not 1 <= c <= most for c, most in zip(costs, _MAX_COST, strict=True)):
        raise UsageError(
            "[web] password_hash is no hash; `bachbox hash-password` gives the line to put there"
        )


class Passwords:
    """The password in force: ``configured`` (a hash), or else the one kept in ``folder``."""

    def __init__(self, folder: Path, configured: str = "") -> None:
        self._path = folder / FILE_NAME
        if configured:
            check_hash(configured)
        self.configured = bool(configured)
        self._kept = self._read()
        if configured:
            self._kept.password_hash = configured

    @property
    def is_set(self) -> bool:
        """There is a password."""
        return bool(self._kept.password_hash)

    def fits(self, password: str) -> bool:
        """Whether that is the password; takes its time."""
        return fits(password, self._kept.password_hash)

    def choose(self, password: str) -> None:
        """From now on it is this one; takes its time.

        Raises:
            UsageError: it will not do, or the config has one.
            BachboxError: it cannot be kept.
        """
        if self.configured:
            raise UsageError("the password stands in the config file ([web] password_hash)")
        check_new(password)
        kept = _Kept(secrets.token_hex(32), hash_of(password))
        self._write(kept)
        self._kept = kept

    def begin(self) -> Session:
        """A new session."""
        body = f"{int(time.time()) + SESSION_S}.{secrets.token_hex(16)}"
        token = f"{body}.{self._sign('session', body)}"
        return Session(token, self._sign("csrf", token))

    def session(self, token: str) -> Session | None:
        """The session of a cookie, None where it is not ours, not valid any more, or too old."""
        body, _, signature = token.rpartition(".")
        if not self.is_set or not hmac.compare_digest(
            self._sign("session", body).encode(), signature.encode(errors="replace")
        ):
            return None
        expires = body.partition(".")[0]
        if int(expires) < time.time():
            return None
        return Session(token, self._sign("csrf", token))

    def _sign(self, purpose: str, text: str) -> str:
        kept = self._kept
        message = "\0".join((purpose, kept.password_hash, text)).encode(errors="replace")
        return hmac.new(bytes.fromhex(kept.key), message, hashlib.sha256).hexdigest()

    def _read(self) -> _Kept:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
            bytes.fromhex(kept.key)
            if kept.password_hash:
                check_hash(kept.password_hash)
        except FileNotFoundError:
            kept = _Kept(secrets.token_hex(32))
            # Without it sessions end with this process, which is no reason not to begin.
            with contextlib.suppress(BachboxError):
                self._write(kept)
        except (OSError, ValueError, UsageError) as error:
            # Not as if there were none: whoever broke it would have opened the box.
            raise BachboxError(
                f"{self._path}: cannot be understood ({error}), so there is no page; remove it, "
                "and choose a password anew"
            ) from error
        return kept

    def _write(self, kept: _Kept) -> None:
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(kept))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise BachboxError(
                f"{self._path}: the password cannot be kept ({error.strerror})"
            ) from error


def _scrypt(password: str, salt: bytes, cost: tuple[int, int, int] = _COST) -> bytes:
    log_n, r, p = cost
    memory = 128 * r * (2**log_n + p + 2)
    return hashlib.scrypt(
        password.encode(errors="surrogatepass"),
        salt=salt, n=2**log_n, r=r, p=p, maxmem=2 * memory, dklen=32,
    )  # fmt: skip


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
