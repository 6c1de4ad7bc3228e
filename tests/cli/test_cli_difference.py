from __future__ import annotations

from avssl.difference import first_change, first_difference


def test_a_key_that_is_gone_is_a_change_but_may_be_left_out_of_a_question():
    trained, now = {"audio": {"rate": 8000, "before": {"mine": 1}}}, {"audio": {"rate": 8000, "before": {}}}
    assert first_difference(now, trained, ignore=()) is None
    assert first_change(now, trained, ignore=()) == ("audio.before.mine", None, 1)
    assert first_change(trained, now, ignore=()) == ("audio.before.mine", 1, None)
    assert first_change(now, trained, ignore=("before",)) is None
