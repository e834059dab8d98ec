"""Copies of a composer's state share nothing mutable, whatever the codec."""

from __future__ import annotations

import pytest

from appliance.common.copying import Copyable
from appliance.composing import composer as composing
from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from tests.support.copies import copyable_classes, shared_mutables
from tests.support.making_music import MODELS, Noise, model_file_of


def copyables_in(value: object) -> set[type[Copyable]]:
    """The classes of all copyable objects that can be reached from ``value``."""
    if isinstance(value, Copyable):
        found = {type(value)}
        for inner in vars(value).values():
            found |= copyables_in(inner)
        return found
    items = list(value.values()) if isinstance(value, dict) else value
    if isinstance(items, list | tuple):
        return {cls for item in items for cls in copyables_in(item)}
    return set()


def test_no_copy_shares_anything_mutable(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every third step of a few pieces, with random notes, of every kind of music."""
    monkeypatch.setattr(composing, "StepModel", Noise)
    seen: set[type[Copyable]] = set()
    names = ("chorales", "strings", "keyboard", "folk")
    models = {name: model_file.load(MODELS / f"{name}.tflite") for name in names}
    conditioned = FreeRhythmCodec(**models["keyboard"].codec.options, conditioning=True)
    models["conditioned"] = model_file_of(conditioned, models["keyboard"].forms)
    for name, model in models.items():
        composer = Composer(model, seed=5)
        composer.spare_steps = 64
        for step in range(200):
            composer.step()
            snapshot = composer.snapshot()
            if snapshot is None or step % 3:
                continue
            context = composer._context
            assert context is not None
            for original, copy in (
                (context, snapshot.context),
                (composer.stall_detector, snapshot.stall_detector),
                (composer._rendition, snapshot.rendition),
            ):
                assert list(shared_mutables(original, copy)) == [], name
                seen |= copyables_in(original)
    missing = copyable_classes() - seen
    assert not missing - {cls for cls in missing if cls.__subclasses__()}
