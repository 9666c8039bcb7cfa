"""Conditions are checked before they run, and missing data never makes one fail."""

import pytest

from rules.expression import ExpressionError, ExpressionFaultError, Kind, check_name, compile_condition

NAMES = {"co5": Kind.NUMBER, "n": Kind.COUNT, "level": Kind.TEXT, "ttl": Kind.DURATION, "attrs": Kind.ATTRIBUTES}


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ('1 > "a"', "no matching overload", 1, 3),
        ("co6 > 1.0", "did you mean 'co5'", 1, 1),
        ("co5 > 60", "60.0", 1, 5),
        ("co5 >\n 1.0 &&& 2.0", "Syntax error", 2, 8),
        ("co5 + 1.0", "not true or false", 1, 1),
        ("known.co6", "unknown name", 1, 6),
    ],
)
def test_a_faulty_expression_is_refused_with_its_place(text: str, words: str, line: int, column: int) -> None:
    with pytest.raises(ExpressionError, match=words) as caught:
        compile_condition(text, NAMES)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_what_is_missing_leaves_the_answer_open_only_where_it_matters() -> None:
    condition = compile_condition("co5 > 60.0 || n > 3", NAMES)
    assert condition.evaluate({"co5": 61.0, "n": 0}) is True
    assert condition.evaluate({"n": 4}) is True
    assert condition.evaluate({"n": 1}) is None
    assert compile_condition("co5 > 60.0 && n > 3", NAMES).evaluate({"n": 1}) is False
    assert compile_condition("!(co5 > 60.0)", NAMES).evaluate({}) is None


def test_a_rule_can_ask_whether_a_name_has_a_value() -> None:
    condition = compile_condition("known.co5 && co5 > 1.0", NAMES)
    assert condition.known
    assert condition.evaluate({"known.co5": False}) is False
    assert condition.evaluate({"known.co5": True, "co5": 2.0}) is True


def test_a_missing_attribute_is_unknown_and_a_real_failure_a_fault() -> None:
    assert compile_condition('attrs.level == "high"', NAMES).evaluate({"attrs": {}}) is None
    with pytest.raises(ExpressionFaultError, match="divide by zero"):
        compile_condition("1 / n > 0", NAMES).evaluate({"n": 0})


@pytest.mark.parametrize("name", ["Co", "in", "known", "co-5", ""])
def test_a_name_no_expression_can_use_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)
