"""A text that is not a meter id is refused with the rule that it breaks."""

from __future__ import annotations

import pytest

from readings.device_ids import parse_device_id


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "x" * 65,
            f"'{'x' * 40}…' is not a meter id: it has 65 characters; at most 64 are possible.",
        ),
        ("a,b", "'a,b' is not a meter id: it contains a comma."),
        ("a\tb", r"'a\tb' is not a meter id: it contains a character that cannot be printed."),
        ("  ", "'' is not a meter id: it is empty."),
    ],
)
def test_the_sentence_says_which_rule_is_broken(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="is not a meter id") as raised:
        parse_device_id(text)
    assert str(raised.value) == sentence
