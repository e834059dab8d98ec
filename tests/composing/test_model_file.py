"""A model file is complete and valid, or one sentence says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.composing import model_file
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import FORMAT, ModelFile
from appliance.errors import BachboxError, UsageError
from appliance.music.score import HIGHEST_PITCH, LOWEST_PITCH, VOICES
from tests.support.making_music import MODEL, MODELS, altered, joined, parts_of

Change = Callable[[dict[str, Any]], object]


def refusal(path: Path) -> str:
    """The sentence that refuses a file; it names the file."""
    with pytest.raises(BachboxError) as refused:
        model_file.load(path)
    sentence = str(refused.value)
    assert sentence.startswith(str(path))
    assert "\n" not in sentence
    return sentence.removeprefix(str(path))


def test_the_shipped_model_has_all_metadata(shipped: ModelFile) -> None:
    assert shipped.name == "chorales"
    assert shipped.title
    assert shipped.description
    assert "Apache-2.0" in shipped.licence
    assert "Trained on" in shipped.card
    assert len(shipped.vocabulary) == len(shipped.codec.vocabulary)
    assert len(shipped.forms) > 100
    # Voices are ordered from the highest, by their lowest and by their highest notes.
    ranges = shipped.codec.options["ranges"]
    assert len(ranges) == VOICES
    assert ranges == sorted(ranges, reverse=True)


def test_a_prime_that_does_not_fit_names_the_model(tmp_path: Path, shipped: ModelFile) -> None:
    tune = tmp_path / "tune.abc"
    tune.write_text("X:1\nT:One voice\nM:4/4\nL:1/4\nK:C\n" + 4 * "CDEF|GABc|" + "\n")
    with pytest.raises(UsageError, match=r"tune\.abc.*the model is chorales"):
        shipped.opening(tune)


def test_a_prime_that_cannot_be_read_is_no_matter_of_the_model(
    tmp_path: Path, shipped: ModelFile
) -> None:
    with pytest.raises(UsageError, match=r"none\.mid: cannot read the score: No such file"):
        shipped.opening(tmp_path / "none.mid")


def test_a_missing_file(tmp_path: Path) -> None:
    assert "no such model" in refusal(tmp_path / "none.tflite")


def test_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tflite")
    assert "not a file" in refusal(tmp_path / "pipe.tflite")
    assert "not a file" in refusal(tmp_path)
    assert "not a file" in refusal(Path("/dev/zero"))


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"What is this?\n" * 99, b"PK\x03\x04" + bytes(99), bytes(5000)]
)
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert "not a TensorFlow Lite model" in refusal(path)


def test_a_zip_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(joined(b"", parts_of()[1]))
    assert "not a TensorFlow Lite model" in refusal(path)


def test_a_tflite_model_without_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(parts_of()[0])
    assert "not one of Bachbox" in refusal(path)


def test_a_model_with_other_files_appended(tmp_path: Path) -> None:
    path = tmp_path / "mobilenet.tflite"
    path.write_bytes(joined(parts_of()[0], {"labels.txt": "cat\ndog\n"}))
    assert "metadata.json" in refusal(path)


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.9991, 0.9995, 0.99999])
def test_a_model_cut_short(tmp_path: Path, share: float) -> None:
    path = tmp_path / "model.tflite"
    content = MODEL.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "cut short" in refusal(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_flipped_bit_in_the_weights_is_refused(tmp_path: Path, share: float) -> None:
    model, texts = parts_of()
    at = int(len(model) * share)
    path = tmp_path / "model.tflite"
    path.write_bytes(joined(model[:at] + bytes([model[at] ^ 8]) + model[at + 1 :], texts))
    assert "checksum" in refusal(path)


@settings(max_examples=100)
@given(data=st.data())
def test_garbage_among_the_appended_files(tmp_path: Path, data: st.DataObject) -> None:
    """The short stand-in for the weights is refused only after everything has been read."""
    model, texts = parts_of()
    content = bytearray(joined(model[:64], texts))
    for at in data.draw(st.lists(st.integers(64, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.none(), st.integers(64, len(content))))
    path = tmp_path / "model.tflite"
    path.write_bytes(content[:end])
    refusal(path)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    model, texts = parts_of()
    path.write_bytes(joined(model[:64], texts | {"card.md": "0" * (9 << 20)}))
    assert path.stat().st_size < 100_000
    assert "'card.md' inside it is larger than 8 MiB" in refusal(path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.touch()
    os.truncate(path, 300 << 20)
    assert "300 MiB" in refusal(path)


@pytest.mark.parametrize("name", ["metadata.json", "vocabulary.txt", "card.md"])
def test_a_text_that_is_missing_or_not_text_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.tflite"
    model, texts = parts_of()
    path.write_bytes(joined(model, {n: t for n, t in texts.items() if n != name}))
    assert name in refusal(path)
    path.write_bytes(model)
    with zipfile.ZipFile(path, "a") as archive:
        for other, text in texts.items():
            archive.writestr(other, b"\xff\xfe\xfa" if other == name else text)
    assert "damaged" in refusal(path)


def test_a_vocabulary_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    model, texts = parts_of()
    for vocabulary in ("", texts["vocabulary.txt"] + "H2\n", "a\n" * 48):
        path.write_bytes(joined(model, texts | {"vocabulary.txt": vocabulary}))
        assert "vocabulary is not its codec's" in refusal(path)


def test_a_model_of_another_format(tmp_path: Path) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about.update(format=FORMAT + 1))
    assert f"format {FORMAT + 1}, but this Bachbox reads {FORMAT}" in refusal(path)


def test_a_model_for_another_codec(tmp_path: Path) -> None:
    path = altered(tmp_path / "a.tflite", lambda about: about["codec"].update(name="of tomorrow"))
    assert "codec 'of tomorrow'" in refusal(path)
    model, options = tmp_path / "b.tflite", {"onsets": False}
    path = altered(model, lambda about: about["codec"]["options"].update(options))
    assert "does not" in refusal(path) or "not its codec's" in refusal(path)
    options = {"form": False}
    path = altered(model, lambda about: about["codec"]["options"].update(options))
    assert "do not fit its codec" in refusal(path)


def test_a_model_that_needs_forms_and_has_none(tmp_path: Path) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about.update(forms=[]))
    assert "needs forms" in refusal(path)


SHA256_OF_THE_HEAD = hashlib.sha256(parts_of()[0][:64]).hexdigest()
ODD: list[Any] = [None, True, "", "eighty", -1, 1e9, float("nan"), float("inf"), [], {}, [[]]]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    "key",
    [
        *("format", "name", "title", "description", "licence", "tempo_bpm", "temperature"),
        *("top_p", "instrument", "codec", "classes", "width", "tensors", "sha256"),
    ],
)
def test_a_field_with_something_odd_in_it(tmp_path: Path, key: str, value: object) -> None:
    texts = dict(parts_of()[1])
    if key in ("name", "title", "description", "licence") and value == "eighty":
        value = "eigh\nty"
    about = json.loads(texts["metadata.json"]) | {key: value}
    path = tmp_path / "model.tflite"
    # With the weights left out, for speed, and a checksum that agrees.
    about["sha256"] = about["sha256"] if key == "sha256" else SHA256_OF_THE_HEAD
    path.write_bytes(joined(parts_of()[0][:64], texts | {"metadata.json": json.dumps(about)}))
    refusal(path)


@pytest.mark.parametrize(
    "form",
    [
        None, {}, "form", [], [16, 0, 192], [14, 0, 192, [], 4],
        [16, 0, 0, [], 4], [16, 0, -4, [], 4],
        [16, 0, 10_000, [], 4], [16.5, 0, 192, [], 4], [16, 4.5, 192, [], 4], [16, 16, 192, [], 4],
        [12, 12, 192, [], 4], [16, -1, 192, [], 4], [16, 0, "192", [], 4], [16, 0, 192, [1, 2], 4],
        [16, 0, 192, [[4]], 4], [16, 0, 192, [[8, 4]], 4], [16, 0, 192, [[8, 12], [4, 8]], 4],
        [16, 0, 192, [[0, float("nan")]], 4], [16, 0, 192, [[0, float("inf")]], 4],
    ],
    ids=repr,
)  # fmt: skip
def test_a_form_that_makes_no_sense(tmp_path: Path, form: object) -> None:
    def add(about: dict[str, Any]) -> None:
        about["forms"].append(form)

    assert "form" in refusal(altered(tmp_path / "model.tflite", add))


@pytest.mark.parametrize(
    ("tessituras", "why"),
    [
        ([[36, 67, 0.1]], "do not fit its forms"),
        ([[67, 36, 0.1]], "forms makes no sense"),
        ([[36, 200, 0.1]], "tessituras"),
        ([[36, 67, 2]], "tessituras"),
        ([[36, 67]], "tessituras"),
        ([None], "tessituras"),
        ("high", "tessituras"),
    ],
    ids=repr,
)
def test_tessituras_that_make_no_sense(tmp_path: Path, tessituras: Any, why: str) -> None:
    def add(about: dict[str, Any]) -> None:
        many = 1 if why == "do not fit its forms" else len(about["forms"])
        about["tessituras"] = tessituras if tessituras == "high" else tessituras * many

    assert why in refusal(altered(tmp_path / "model.tflite", add))


@pytest.mark.parametrize("corrections", [[99.0], "none"], ids=repr)
def test_corrections_that_make_no_sense(tmp_path: Path, corrections: Any) -> None:
    assert "corrections" in refusal(
        altered(tmp_path / "model.tflite", lambda about: about.update(corrections=corrections))
    )


def test_corrections_for_another_codec_are_refused_when_they_are_used(tmp_path: Path) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about.update(corrections=[0.5]))
    with pytest.raises(BachboxError, match="do not fit its codec"):
        StepModel(model_file.load(path))


@pytest.mark.parametrize("name", ["strings", "keyboard"])
def test_every_form_in_free_rhythm_has_the_tessitura_of_its_piece(name: str) -> None:
    scopes = [
        form.tessitura
        for form in model_file.load(MODELS / f"{name}.tflite").forms
        if form.tessitura
    ]
    assert len(scopes) == len(model_file.load(MODELS / f"{name}.tflite").forms) > 30
    if name == "strings":
        for lowest, _, chord_share in scopes:
            assert 36 <= lowest <= 39 or lowest >= 55, "a cello's or a violin's"
            assert chord_share < 0.5


@pytest.mark.parametrize(
    "ranges",
    [
        None, [], {}, "high", [[60, 70]] * 3, [[60, 70]] * 5, [[80, 60]] * 4, [[60]] * 4,
        [[60, 70, 80]] * 4, [["C", "G"]] * 4, [60] * 4, [[60, None]] * 4,
    ],
    ids=repr,
)  # fmt: skip
def test_voices_that_make_no_sense(tmp_path: Path, ranges: object) -> None:
    def change(about: dict[str, Any]) -> None:
        about["codec"]["options"]["ranges"] = ranges

    path = altered(tmp_path / "model.tflite", change)
    if ranges is None or ranges in ([], {}):
        assert (
            model_file.load(path).codec.options["ranges"]
            == [(LOWEST_PITCH, HIGHEST_PITCH)] * VOICES
        )
    else:
        assert "cannot be made from its options" in refusal(path)


@pytest.mark.parametrize("options", [{}, {"onsets": True}, {"form": True, "sonata": 3}], ids=repr)
def test_options_that_the_codec_does_not_know(tmp_path: Path, options: dict[str, Any]) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about["codec"].update(options=options))
    assert "cannot be made from its options" in refusal(path)


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    model, texts = parts_of()
    for deep in ("[" * 200_000, '{"a":' * 200_000, '{"format": 1, "a":' + "[" * 200_000):
        path.write_bytes(joined(model[:64], texts | {"metadata.json": deep}))
        assert "metadata.json" in refusal(path)


def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    path = altered(tmp_path / "model.tflite", lambda about: about.update(key="of tomorrow"))
    assert model_file.load(path).name == "chorales"


def test_models_are_found_by_name_or_by_path(tmp_path: Path) -> None:
    for name in ("b", "a", "a_edgetpu"):
        (tmp_path / f"{name}.tflite").touch()
    (tmp_path / "a.toml").touch()
    folders = [tmp_path / "not there", tmp_path, MODELS]
    assert [path.stem for path in model_file.listing(folders)][:3] == ["a", "b", "chorales"]
    assert model_file.find("a", folders) == tmp_path / "a.tflite"
    assert model_file.find("chorales", folders) == MODEL
    assert model_file.find("./some/where.tflite", folders) == Path("some/where.tflite")


def test_the_first_folder_wins(tmp_path: Path) -> None:
    (tmp_path / "chorales.tflite").touch()
    assert model_file.find("chorales", [tmp_path, MODELS]) == tmp_path / "chorales.tflite"
    assert model_file.find("chorales", [MODELS, tmp_path]) == MODEL


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no model called 'fuges' in .*; there are: .*chorales"):
        model_file.find("fuges", [tmp_path, MODELS])
    with pytest.raises(UsageError, match="there are: none"):
        model_file.find("fuges", [tmp_path])
