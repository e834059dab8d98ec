"""Names and sentences as they stand in shared memory: UTF-8, filled up with zeros."""

from __future__ import annotations

from appliance.errors import UsageError
from appliance.music.limits import MAX_MODEL_NAME_BYTES


def packed_name(model: str) -> bytes:
    """Return the name of a model as it is stored, in UTF-8.

    Raises:
        UsageError: it is too long.
    """
    name = model.encode()
    if len(name) > MAX_MODEL_NAME_BYTES:
        raise UsageError(
            f"the model name {model!r} is too long: at most {MAX_MODEL_NAME_BYTES} bytes "
            "are allowed; rename the file"
        )
    return name


def packed_text(text: str, max_bytes: int) -> bytes:
    """Return ``text`` in UTF-8, cut at its end if it has more than ``max_bytes``."""
    return text.encode()[:max_bytes].decode(errors="ignore").encode()


def unpacked_text(packed: bytes) -> str:
    """Return the text that was stored as ``packed``, in UTF-8 with zeros behind it."""
    return packed.rstrip(b"\0").decode()
