from __future__ import annotations

from appliance.common.text import did_you_mean, lowered, quoted, shortened, similar


def test_shortened_has_at_most_the_given_length() -> None:
    assert shortened("a" * 40) == "a" * 40
    assert shortened("a" * 41) == "a" * 39 + "…"
    assert shortened("abcdef", 4) == "abc…"


def test_quoted_escapes_what_could_move_a_terminals_cursor() -> None:
    assert quoted("a\x1b[2J") == "'a\\x1b[2J'"
    assert quoted(96) == "96"
    assert len(quoted("a" * 100)) == 40


def test_lowered() -> None:
    assert lowered("No such file") == "no such file"
    assert lowered("") == ""


def test_did_you_mean() -> None:
    assert did_you_mean("volme", ["tempo", "volume"]) == "did you mean 'volume'?"
    assert did_you_mean("tempo", ["tempo_bpm", "seed"]) == "did you mean 'tempo_bpm'?"
    assert not did_you_mean("xyzzy", ["tempo", "volume"])


def test_similar_gives_the_best_first() -> None:
    assert similar("organ", ["church organ", "orgn", "piano"], 3)[0] == "orgn"
