"""A recipe says everything about how a model is made; a mistake in it is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.codecs.four_part import FourPartCodec
from appliance.training import __main__ as command
from appliance.training import recipe

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "models").rglob("*.toml"))

GOOD: dict[str, dict[str, Any]] = {
    "card": {
        "title": "T", "description": "D", "corpus": "C", "licence": "L",
        "tempo_bpm": 80, "temperature": 0.9, "top_p": 0.9, "instrument": 19,
    },
    "corpus": {"source": "music21-chorales"},
    "codec": {"name": "satb-16th", "onsets": True, "form": True},
    "network": {"embedding": 8, "hidden": 8, "layers": 1},
    "training": {"tokens": 1000},
}  # fmt: skip


def toml(parts: dict[str, dict[str, Any]]) -> str:
    lines = ['name = "tiny"']
    for part, values in parts.items():
        lines.append(f"[{part}]")
        for key, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else repr(value)
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as refused:
        recipe.load(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_recipes_are_shipped() -> None:
    assert {path.stem for path in RECIPES} >= {"chorales", "jsb16"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_shipped_recipe_is_valid(path: Path) -> None:
    made = recipe.load(path)
    assert made.name == path.stem
    assert 40 <= made.card.tempo_bpm <= 240
    assert 0.1 <= made.card.temperature <= 3
    assert 0.05 <= made.card.top_p <= 1
    assert 0 <= made.card.instrument <= 127
    assert made.training.tokens >= 1_000_000 or made.training.cpu_budget_s >= 600


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_no_piece_is_held_out_twice(path: Path) -> None:
    part = recipe.load(path).corpus
    assert len(set(part.valid)) == len(part.valid)
    assert len(set(part.test)) == len(part.test)
    assert not set(part.valid) & set(part.test)


def test_the_package_has_every_playable_model_and_no_other_weights() -> None:
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packaged = {
        name for name in shared["targets"]["wheel"]["force-include"] if name.startswith("models")
    }
    playable = model_file.listing([ROOT / "models"])
    assert packaged == {
        f"models/{path.stem}.{end}" for path in playable for end in ("tflite", "md")
    }
    assert "chorales-warm-start" not in {path.stem for path in playable}


def test_the_shipped_model_was_made_by_its_recipe() -> None:
    made = recipe.load(ROOT / "models" / "chorales.toml")
    model = model_file.load(ROOT / "models" / "chorales.tflite")
    assert model.name == made.name
    assert isinstance(model.codec, FourPartCodec)
    assert (model.codec.onsets, model.codec.uses_forms) == (made.codec.onsets, made.codec.form)
    assert made.corpus.valid
    assert made.corpus.test
    assert len(model.forms) > len(made.corpus.test)


def test_a_minimal_recipe_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(toml(GOOD))
    assert recipe.load(path).training.tokens == 1000
    assert tomllib.loads(toml(GOOD))["codec"]["onsets"] is True


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("network", "hiden", 3, "hiden"),
        ("network", "hidden", "large", "hidden"),
        ("network", "layers", 1.5, "layers"),
        ("training", "tokens", "many", "tokens"),
        ("corpus", "source", "elsewhere", "elsewhere"),
        ("codec", "onsets", "yes", "onsets"),
        ("codec", "name", "organum", "organum"),
        ("card", "tempo_bpm", "fast", "tempo_bpm"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, part: str, key: str, value: object, message: str
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(toml(GOOD | {part: GOOD[part] | {key: value}}))
    assert message in refusal(path)


@pytest.mark.parametrize(
    ("network", "training", "message"),
    [
        ({"embedding": 0}, {}, "an LSTM needs an embedding size"),
        ({"kind": "transformer"}, {}, "a Transformer needs heads"),
        (
            {"kind": "transformer", "heads": 3, "feedforward": 8, "memory_tokens": 8},
            {},
            "a multiple of heads",
        ),
        ({"ensemble_size": 0}, {}, "at least 1"),
        ({"transpositions": []}, {}, "must start with 0"),
        ({"transpositions": [1, 0]}, {}, "must start with 0"),
        ({}, {"tokens": 0}, "either tokens or cpu_budget_s"),
        ({}, {"cpu_budget_s": 60}, "either tokens or cpu_budget_s"),
    ],
)
def test_a_contradiction_is_named(
    tmp_path: Path, network: dict[str, Any], training: dict[str, Any], message: str
) -> None:
    path = tmp_path / "tiny.toml"
    parts = {"network": GOOD["network"] | network, "training": GOOD["training"] | training}
    path.write_text(toml(GOOD | parts))
    assert message in refusal(path)


@pytest.mark.parametrize("part", GOOD)
def test_a_missing_section_is_named(tmp_path: Path, part: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(toml({name: values for name, values in GOOD.items() if name != part}))
    assert part in refusal(path)


@pytest.mark.parametrize("content", [b"", b"name = ", b"\xff\xfe", b"[[[", b"name = 3"])
def test_another_file_in_place_of_a_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(content)
    refusal(path)
    assert "No such file" in refusal(tmp_path / "none.toml")


def test_recipes_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert command.find_recipe("chorales") == Path("models/chorales.toml")
    assert command.find_recipe("jsb16") == Path("models/benchmarks/jsb16.toml")
    assert command.find_recipe("models/chorales.toml") == Path("models/chorales.toml")
    with pytest.raises(
        UsageError, match=r"no recipe called 'fugues'; the recipes are: chorales, .*jsb16"
    ):
        command.find_recipe("fugues")


def test_the_command_names_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(ROOT)
    for arguments, message in (
        (["fugues"], "no recipe called"),
        (["jsb16", "--evaluate"], "--data FOLDER"),
        (["jsb16", "--evaluate", "--data", str(tmp_path)], "the benchmark is not there"),
    ):
        monkeypatch.setattr("sys.argv", ["training", *arguments])
        assert command.main() == 2
        assert message in capsys.readouterr().err
