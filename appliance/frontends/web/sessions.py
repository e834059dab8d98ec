"""Sessions of browsers that have logged in: signed cookies, their lifetime and their CSRF tokens.

Sessions are signed (HMAC-SHA256, RFC 2104) rather than stored, so they survive a restart. Setting a
new password ends them all.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import Final, NamedTuple

SESSION_S: Final = 30 * 24 * 3600
"""How long a session is valid."""


class SessionKey(NamedTuple):
    """What sessions are signed with."""

    secret: bytes
    password_hash: str
    """A session ends when this changes."""


class Session(NamedTuple):
    """Proof that a client has logged in."""

    token: str
    """Value of the session cookie."""
    csrf_token: str
    """Must be sent as a header with every request that changes something."""


def begin(key: SessionKey) -> Session:
    """Return a new session, valid for :data:`SESSION_S`."""
    payload = f"{int(time.time()) + SESSION_S}.{secrets.token_hex(16)}"
    token = f"{payload}.{_sign(key, 'session', payload)}"
    return Session(token, _sign(key, "csrf", token))


def find(key: SessionKey, token: str) -> Session | None:
    """Return the session of a cookie; None where it is forged or expired."""
    payload, _, signature = token.rpartition(".")
    expected = _sign(key, "session", payload)
    if not hmac.compare_digest(expected.encode(), signature.encode(errors="replace")):
        return None
    if int(payload.partition(".")[0]) < time.time():
        return None
    return Session(token, _sign(key, "csrf", token))


def _sign(key: SessionKey, purpose: str, text: str) -> str:
    message = "\0".join((purpose, key.password_hash, text)).encode(errors="replace")
    return hmac.new(key.secret, message, hashlib.sha256).hexdigest()
