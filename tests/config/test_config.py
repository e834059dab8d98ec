"""A config file is checked as a whole: all its problems are listed at once, in sentences."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.config import loader, sections
from appliance.config.contradictions import MQTT_NEEDS, contradictions
from appliance.config.gpio_schema import Gpio
from appliance.config.loader import Config, ConfigError
from appliance.config.schema import Mqtt, Music, Stream
from appliance.errors import BachboxError, UsageError

EXAMPLE = Path(__file__).parents[2] / "bachbox.example.toml"
HERE = Path("/etc/bachbox/bachbox.toml")


# With what it only suggests, too.
SUGGESTED_TEXT = re.sub(r"^#(\w+ =)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
SUGGESTED = tomllib.loads(SUGGESTED_TEXT)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        loader.parse(text, HERE)
    return error.value.problems


def test_the_example_equals_the_defaults() -> None:
    assert loader.parse(EXAMPLE.read_text(), EXAMPLE) == Config()
    assert loader.parse("", EXAMPLE) == Config()


def test_the_example_names_every_key_and_its_suggestions_are_allowed() -> None:
    # The suggested certificates need TLS, which is off by default.
    text, count = re.subn("^tls = false$", "tls = true", SUGGESTED_TEXT, flags=re.MULTILINE)
    assert count == 1
    loader.parse(text, EXAMPLE)
    named = {section: set(keys) for section, keys in SUGGESTED.items()}
    known = {name: set(s.__struct_fields__) for name, s in loader.SECTIONS.items()}
    assert named == known


def test_an_unknown_section_is_answered_with_the_known_ones() -> None:
    (said,) = problems_of("[zzz]")
    sections = "[music], [sound], [voices], [clock], [mqtt], "
    assert f"there is no section [zzz]; there are {sections}" in said


def test_all_problems_are_listed_with_file_key_value_and_what_is_allowed() -> None:
    problems = problems_of(
        """
        [music]
        tempo_bpm = "fast"
        temprature = 1.0
        tempo = 90
        instrument = "kazoo"
        look_ahead_s = nan
        [sound]
        volume = 101
        block_frames = true
        soundfont = ""
        [musik]
        [mqtt]
        port = 0
        password = "hunter2"
        """
    )
    said = "\n".join(problems)
    assert len(problems) == 11
    for expected in [
        "/etc/bachbox/bachbox.toml: [music] tempo_bpm is fast; it must be a number from 40 to 240",
        "[music] has no key temprature; did you mean 'temperature'?",
        "[music] has no key tempo; did you mean 'tempo_bpm'?",
        "[music] instrument: there is no instrument 'kazoo'",
        "[music] look_ahead_s is nan; it must be a number from 2 to 30 seconds",
        "[sound] volume is 101; it must be a number from 0 to 100 percent",
        "[sound] block_frames is True; it must be a whole number",
        "[sound] soundfont is ''; it must be the name of a soundfont, or the path of a .sf2 or "
        ".sf3 file",
        "there is no section [musik]; did you mean 'music'?",
        "[mqtt] port is 0; it must be a port from 1 to 65535",
        "[mqtt] has no key password; did you mean 'password_file'?",
    ]:
        assert expected in said
    assert "hunter2" not in said


def test_an_optional_section_with_mistakes_is_off_and_the_others_hold() -> None:
    left_out: list[str] = []
    parsed = loader.parse(
        """
        display = 3
        [sound]
        block_frames = 512
        [mqtt]
        host = "broker"
        port = 99999
        [web]
        host = ""
        password = "hunter2"
        [stream]
        icecast = "http://source:hunter2@radio:99999/b.ogg"
        [gpio]
        leds = 3
        [midi]
        in_ports = ["keys"]
        """,
        HERE,
        left_out,
    )
    assert parsed.sound.block_frames == 512
    assert parsed.midi.in_ports == ("keys",)
    assert (parsed.mqtt, parsed.stream, parsed.gpio) == (Mqtt(), Stream(), Gpio())
    assert parsed.web.port == 0, "no page, rather than one that was not asked for like this"
    said = "\n".join(left_out)
    assert len(left_out) == 5
    assert (
        "[mqtt] port is 99999; it must be a port from 1 to 65535; until this is corrected, [mqtt] "
        "is off"
    ) in said
    assert "[web] has no key password; did you mean 'password_hash'?; until" in said
    assert "hunter2" not in said
    for section, off in loader.OPTIONAL.items():
        assert loader.parse(f"[{section}]\nzzz = 1", HERE, []) == replace(
            Config(), **{section: off}
        )


@pytest.mark.parametrize(
    "text",
    ["tempo = 1", "[zzz]", "[sound]\nvolume = 101", "[clock]\nzzz = 1", "[mqtt", "web = 1 1"],
)
def test_what_the_music_needs_is_refused_with_all_other_mistakes(text: str) -> None:
    text += "\n[gpio]\nleds = 3"
    with pytest.raises(ConfigError) as error:
        loader.parse(text, HERE, [])
    assert error.value.problems == problems_of(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('encoders = [{ turns = "tempo", a = 17 }]', "missing required field `b` at [0]"),
        ('encoders = [{ turns = "colour", a = 17, b = 27 }]', "'colour' at [0].turns"),
        ('leds = [{ pin = 1, shows = "beat" }, { pin = "x", shows = "beat" }]', "at [1].pin"),
        ("pots = [{ turns = 'volume', channel = 8 }]", "at [0].channel"),
        ("buttons = [{ pins = 3 }]", "unknown field `pins` at [0]"),
        ("buttons = 3", "buttons is 3; it must be a list of { pin = 16"),
    ],
)
def test_gpio_parts_are_checked_one_by_one(line: str, said: str) -> None:
    [problem] = problems_of(f"[gpio]\n{line}\n")
    assert said in problem
    assert "it must be a list of {" in problem


@pytest.mark.parametrize(
    ("key", "wrong", "said"),
    [
        ("allowed_hosts", "http://bach.lan:80/", "host names under which browsers may reach this"),
        ("frame_ancestors", "http://ha.local:8123/lovelace", 'such as "http://homeassistant.local'),
    ],
)
def test_a_wrong_name_in_a_list_is_quoted_without_a_pattern(
    key: str, wrong: str, said: str
) -> None:
    [problem] = problems_of(f'[web]\n{key} = ["{wrong}"]')
    assert f"{key} is '{wrong}'; it must be a list of" in problem
    assert said in problem
    assert "regex" not in problem


def test_a_midi_port_is_no_output() -> None:
    [problem] = problems_of('[sound]\noutput = "midi:GrandOrgue"')
    assert "[sound] output: 'midi:GrandOrgue' is no sound card" in problem
    assert 'out_port = "GrandOrgue" under [midi]' in problem


def test_broken_toml_is_reported_with_its_line() -> None:
    assert "line 2" in problems_of("[music]\nmodel = x\n")[0]
    assert "write [music]" in problems_of("music = 3")[0]
    assert problems_of("x = " + "[" * 100_000)


@given(st.text())
def test_any_text_is_a_config_or_a_list_of_problems(text: str) -> None:
    try:
        loader.parse(text, HERE)
    except ConfigError as error:
        assert all(problem.startswith(str(HERE)) for problem in error.problems)


scalar = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(), st.none(), st.binary()
)


every_key = st.sampled_from(
    [(name, key) for name, kind in loader.SECTIONS.items() for key in kind.__struct_fields__]
)


def allowed(where: tuple[str, str]) -> st.SearchStrategy[Any]:
    """Values that a key may have: in its range, its choices, or what the example suggests."""
    section, key = where
    fields = msgspec.inspect.type_info(loader.SECTIONS[section]).fields  # type: ignore[attr-defined]
    kind = next(field.type for field in fields if field.name == key)
    match kind:
        case msgspec.inspect.IntType(ge=int(low), le=int(high)):
            return st.integers(low, high)
        case msgspec.inspect.FloatType(ge=int() | float() as low, le=int() | float() as high):
            return st.floats(low, high)
        case msgspec.inspect.BoolType():
            return st.booleans()
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(sorted(values, key=str))
    return st.just(SUGGESTED[section][key])


def needed_by(section: str, key: str) -> dict[str, Any]:
    """The other keys that have to be set for this one to have an effect."""
    others = MQTT_NEEDS.get(key, ()) if section == "mqtt" else ()
    return {other: True if other == "tls" else SUGGESTED[section][other] for other in others}


def test_a_key_that_needs_others_is_refused_without_any_of_them() -> None:
    for key, others in MQTT_NEEDS.items():
        content = {**needed_by("mqtt", key), key: SUGGESTED["mqtt"][key]}
        for other in others:
            left = {name: value for name, value in content.items() if name != other}
            problems: list[str] = []
            sections.read_section("mqtt", loader.SECTIONS["mqtt"], left, HERE, problems)
            assert any(f"[mqtt] {key} " in problem for problem in problems)


@given(every_key.flatmap(lambda where: st.tuples(st.just(where), allowed(where))))
def test_an_allowed_value_of_any_key_is_taken(example: tuple[tuple[str, str], Any]) -> None:
    (section, key), value = example
    problems: list[str] = []
    content = {**needed_by(section, key), key: value}
    parsed = sections.read_section(section, loader.SECTIONS[section], content, HERE, problems)
    assert problems == []
    msgspec.convert(msgspec.structs.asdict(parsed), loader.SECTIONS[section], strict=True)
    if isinstance(value, (bool, int, float)):
        assert getattr(parsed, key) == value


@given(every_key, st.one_of(scalar, st.lists(scalar), st.dictionaries(st.text(), scalar)))
def test_any_value_of_any_key_is_taken_typed_or_refused(
    where: tuple[str, str], value: object
) -> None:
    section, key = where
    problems: list[str] = []
    needed = needed_by(section, key)
    content = {**needed, key: value}
    parsed = sections.read_section(section, loader.SECTIONS[section], content, HERE, problems)
    if problems:
        assert all(key in problem for problem in problems)
        # A value of the right type that contradicts itself or others is kept beside the problem.
        if not contradictions(parsed):
            assert parsed == sections.read_section(
                section, loader.SECTIONS[section], needed, HERE, []
            )
    else:
        msgspec.convert(msgspec.structs.asdict(parsed), loader.SECTIONS[section], strict=True)


def test_the_explicit_file_wins_over_the_users_and_the_users_over_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system.toml"
    monkeypatch.setattr(loader, "SYSTEM_FILE", system)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert loader.load() == (Config(), None)
    system.write_text("sound.volume = 1")
    assert loader.load()[0].sound.volume == 1
    loader.user_file().parent.mkdir()
    loader.user_file().write_text("sound.volume = 2")
    assert loader.load()[0].sound.volume == 2
    asked = tmp_path / "asked.toml"
    asked.write_text("sound.volume = 3")
    assert loader.load(asked) == (loader.parse("sound.volume = 3", asked), asked)


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff")
    with pytest.raises(UsageError, match="no such config file"):
        loader.load(tmp_path / "missing")
    with pytest.raises(BachboxError, match="is a directory"):
        loader.load(tmp_path)
    with pytest.raises(UsageError, match="not a text file"):
        loader.load(tmp_path / "picture")
    with pytest.raises(UsageError, match="larger than"):
        loader.load(Path("/dev/zero"))


def test_relative_paths_start_at_the_files_folder() -> None:
    parsed = loader.parse('sound.soundfont = "my.sf2"\nmusic.models_folder = "~/m"', HERE)
    assert parsed.sound.soundfont == "/etc/bachbox/my.sf2"
    assert parsed.music.models_folder == Path.home() / "m"
    assert loader.model_folders(parsed)[0] == Path.home() / "m"
    assert loader.parse('music.model = "x/y.tflite"', HERE).music.model == "/etc/bachbox/x/y.tflite"
    for asked, meant in (
        ("auto", "auto"),
        ("libedgetpu.so.1", "libedgetpu.so.1"),
        ("./mine.so", "/etc/bachbox/mine.so"),
        ("/opt/mine.so", "/opt/mine.so"),
    ):
        assert loader.parse(f'music.delegate = "{asked}"', HERE).music.delegate == meant


def test_the_password_is_read_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    parsed = loader.parse(f'mqtt.password_file = "{secret}"', HERE)
    assert loader.password(parsed.mqtt) == "hunter2"
    assert "hunter2" not in str(list(loader.items(parsed)))
    secret.unlink()
    with pytest.raises(BachboxError, match="password_file"):
        loader.password(parsed.mqtt)


def test_the_password_may_be_a_systemd_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loader.password(Config().mqtt) == ""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert loader.password(Config().mqtt) == ""
    (tmp_path / "mqtt-password").write_text("hunter2")
    assert loader.password(Config().mqtt) == "hunter2"


def test_custom_models_are_found_before_the_shipped_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    mine = tmp_path / "bachbox" / "models"
    plain, shelved = Config(), Config(Music(models_folder=tmp_path / "m"))
    assert loader.custom_models_folder(plain) == loader.model_folders(plain)[0] == mine
    assert loader.custom_models_folder(shelved) == tmp_path / "m"
    assert loader.model_folders(shelved)[:2] == [tmp_path / "m", mine]
    assert len(loader.model_folders(plain)) == 3
    monkeypatch.delenv("XDG_DATA_HOME")
    assert loader.custom_models_folder(plain) == Path.home() / ".local/share/bachbox/models"


def test_a_time_zone_is_one_that_the_machine_knows() -> None:
    parsed = loader.parse("[clock]\ntime_zone = 'Europe/Berlin'", HERE)
    assert parsed.clock.time_zone == "Europe/Berlin"
    (said,) = problems_of("[clock]\ntime_zone = 'Europe/Weimar'")
    assert "[clock] time_zone: there is no time zone 'Europe/Weimar'" in said
    (said,) = problems_of("[clock]\ntime_zone = '../passwd'")
    assert "it must be a time zone such as" in said


def test_a_display_has_a_size_of_its_kind() -> None:
    (said,) = problems_of('[display]\ndriver = "hd44780"\nsize = "128x64"')
    assert said.endswith("""[display] size: a hd44780 has "16x2" or "20x4", not '128x64'""")
    (said,) = problems_of('[display]\ndriver = "hd44780"\nrotate = 180')
    assert "cannot be turned" in said
    display = loader.parse('[display]\ndriver = "sh1106"\ni2c_address = 0x3D', HERE).display
    assert display is not None
