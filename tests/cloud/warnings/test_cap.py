"""CAP messages: valid against the OASIS schema, chained, never expired when sent."""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from cloud.warnings.cap import NAMESPACE, Authority, MessageType, compose
from cloud.warnings.warning import NOTHING_SEEN, begin
from rules.signal import Text
from tests.cloud.warnings.samples import EPISODE, signal

SENT = EPISODE + 1_234_567
AUTHORITY = Authority("duty@city.example", "Test", "Restricted", "For the emergency centre", "City of Example", 3600)
WARNED = begin(signal(), NOTHING_SEEN, SENT)
SCHEMA = Path(os.environ.get("VEDETTE_DATA", Path(__file__).parents[4] / "shared" / "data")) / "cap" / "cap12.xsd"


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    if not SCHEMA.exists():
        pytest.skip(f"no CAP schema at {SCHEMA}; set VEDETTE_DATA to the folder that holds cap/cap12.xsd")
    return etree.XMLSchema(etree.parse(SCHEMA))


def texts(xml: str, name: str) -> list[str]:
    return [element.text or "" for element in etree.fromstring(xml.encode()).iter(f"{{{NAMESPACE}}}{name}")]


@pytest.mark.parametrize("kind", list(MessageType))
def test_every_message_of_a_chain_is_valid(schema: etree.XMLSchema, kind: MessageType) -> None:
    message = compose(WARNED, kind, AUTHORITY, SENT, ("a@b,c,2026-01-01T00:00:00+00:00",), "an exercise")
    schema.assertValid(etree.fromstring(message.xml.encode()))


@given(
    st.text(),
    st.text(),
    st.text(),
    st.dictionaries(st.sampled_from(["category", "urgency", "event", "response"]), st.text()),
)
def test_no_text_breaks_the_document(
    schema: etree.XMLSchema, title: str, zh: str, key: str, cap: dict[str, str]
) -> None:
    warned = replace(WARNED, title=Text(title, zh), text=Text(zh, title), key=key, sources=(), cap=cap)
    message = compose(warned, MessageType.ALERT, AUTHORITY, SENT)
    schema.assertValid(etree.fromstring(message.xml.encode()))


def test_a_message_speaks_both_languages_and_says_it_is_a_test() -> None:
    xml = compose(WARNED, MessageType.ALERT, AUTHORITY, SENT).xml
    assert texts(xml, "language") == ["en-US", "zh-CN"]
    assert texts(xml, "headline") == ["Fire in the lobby", "大厅起火"]
    assert texts(xml, "status") == ["Test"]
    assert texts(xml, "scope") == ["Restricted"]
    assert texts(xml, "restriction") == ["For the emergency centre"]
    assert texts(xml, "category") == ["Fire", "Fire"]


def test_a_chain_is_held_together_by_references() -> None:
    first = compose(WARNED, MessageType.ALERT, AUTHORITY, SENT)
    assert texts(first.xml, "references") == []
    second = compose(replace(WARNED, revision=2), MessageType.UPDATE, AUTHORITY, SENT, (first.reference,))
    third = compose(replace(WARNED, revision=3), MessageType.END, AUTHORITY, SENT, (first.reference, second.reference))
    assert texts(third.xml, "references") == [f"{first.reference} {second.reference}"]
    assert first.reference == f"duty@city.example,{texts(first.xml, 'identifier')[0]},{texts(first.xml, 'sent')[0]}"
    assert len({texts(one.xml, "identifier")[0] for one in (first, second, third)}) == 3


def test_an_end_says_all_clear() -> None:
    xml = compose(WARNED, MessageType.END, AUTHORITY, SENT, ("x,y,z",)).xml
    assert texts(xml, "msgType") == ["Update"]
    assert set(texts(xml, "responseType")) == {"AllClear"}
    assert set(texts(xml, "urgency")) == {"Past"}


def test_times_carry_their_offset_and_nothing_expires_before_it_is_sent() -> None:
    xml = compose(WARNED, MessageType.ALERT, AUTHORITY, SENT).xml
    sent, expires = texts(xml, "sent")[0], texts(xml, "expires")[0]
    assert sent.endswith("+00:00")
    assert datetime.fromisoformat(expires) > datetime.fromisoformat(sent)


@pytest.mark.parametrize(
    ("field", "value"),
    [("sender", "two words"), ("sender", "a,b"), ("sender", ""), ("status", "Real"), ("scope", "All"), ("valid_s", 0)],
)
def test_an_impossible_authority_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match="CAP"):
        replace(AUTHORITY, **{field: value})  # type: ignore[arg-type]
