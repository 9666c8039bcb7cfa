"""What plates may carry, and how a grammar settles what a reader cannot see."""

import pytest

from edge.vision.plates.countries import CLASSES, GRAMMARS, grammars
from edge.vision.plates.grammar import NEAR, Place, Read, forms, settle


def seen(text: str, chance: float = 0.95, **other: str) -> list[Place]:
    """A reading of `text`, each place as sure; `p3="0"` says that place 3 may be a 0 with what is left."""
    return [{one: chance} | ({other[f"p{n}"]: 1 - chance} if f"p{n}" in other else {}) for n, one in enumerate(text)]


def told(readings: list[list[Place]], *regions: str, colour: str = "") -> Read:
    read = settle(readings, grammars(regions), colour)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("京A88731", "cn-civil"),
        ("皖A3997学", "cn-learner"),
        ("粤AD12345", "cn-new-energy"),
        ("粤A12345F", "cn-new-energy"),
        ("粤AZ12345", None),
        ("京A1234警", "cn-police"),
        ("使014578", "cn-embassy"),
        ("224578使", "cn-embassy"),
        ("沪A1234领", "cn-consulate"),
        ("鲁B123A挂", "cn-trailer"),
        ("粤Z1234港", "cn-border"),
        ("WJ京1234X", "cn-armed-police"),
        ("京I88731", None),
        ("京A8I731", None),
        ("RK755AJ", "eu-sk"),
        ("1B80338", "eu-cz"),
        ("AB123CD", "eu-fr"),
        ("AI123CD", None),
        ("4567BCD", "eu-es"),
        ("BMW1234E", "eu-de"),
        ("XX999X", "eu-nl"),
        ("7ABC123", "us-ca"),
        ("ABC1D23", "br-mercosul"),
        ("ABC1234", "br-grey"),
    ],
)
def test_known_plates_fit_their_grammar(text: str, name: str | None) -> None:
    fitting = {one.name for one in GRAMMARS if one.fits(text)}
    if name is None:
        assert not fitting & {"cn-civil", "cn-new-energy", "eu-fr"}
    else:
        assert name in fitting


def test_the_place_settles_what_looks_alike() -> None:
    read = told([seen("RKO99AN")], "eu-sk")
    assert (read.text, read.grammar) == ("RK099AN", "eu-sk")
    assert 0.6 < read.confidence < 0.99
    read = told([seen("8OS1234")], "br-grey")
    assert read.text == "BOS1234"
    # I and O do not occur in Chinese plates: what looks like them is a digit.
    assert told([seen("京AIO123")], "cn").text == "京A10123"


def test_a_place_of_its_own_kind_is_left_alone() -> None:
    read = told([seen("AB0O1DZ")], "us-ca")
    assert (read.text, read.grammar) == ("AB0O1DZ", "")


def test_a_plate_that_fits_nothing_says_so_and_keeps_what_was_read() -> None:
    read = told([seen("GWAGEN")], "cn", "eu-sk")
    assert (read.text, read.grammar) == ("GWAGEN", "")
    assert read.confidence > 0.7


def test_a_colour_decides_between_kinds_that_both_fit() -> None:
    reading = seen("京A12345")
    assert told([reading], "cn", colour="blue").grammar == "cn-civil"
    unsure = seen("京A1234警", 0.6, p6="5")
    assert told([unsure], "cn-civil", "cn-police", colour="white").text == "京A1234警"
    assert told([seen("京A1234警", 0.55, p6="5")], "cn-civil", "cn-police", colour="blue").text == "京A12345"


def test_a_reader_that_is_unsure_says_how_much_and_what_else_it_may_be() -> None:
    read = told([seen("京A88731", 0.7, p4="B")], "cn")
    assert read.text == "京A88731"
    assert 0.5 < read.confidence < 0.75
    assert read.alternatives[0][0] == "京A88B31"
    assert read.confidence + sum(chance for _, chance in read.alternatives) <= 1 + 1e-9


def test_readers_vote_and_the_second_best_of_one_may_win() -> None:
    first, second = seen("京A88731", 0.6, p2="6"), seen("京A68731", 0.9)
    read = told([first, second], "cn")
    assert (read.text, read.alternatives[0][0]) == ("京A68731", "京A88731")
    assert read.confidence < told([second], "cn").confidence


def test_a_reader_that_cannot_read_a_country_is_outvoted() -> None:
    blind, able = seen("A05279", 0.99), seen("皖A05279", 0.8)
    assert told([blind, able], "cn").text == "皖A05279"
    assert told([seen("京RK755AJ", 0.99), seen("RK755AJ", 0.7)], "cn", "eu").text == "RK755AJ"


def test_what_a_reader_without_provinces_reads_speaks_for_the_province_that_another_saw() -> None:
    # Both fit a grammar: without the province it is a plate of Austria.
    able = seen("皖A05279", 0.8)
    assert told([seen("A05279", 0.99), able], "cn", "eu").text == "皖A05279"
    assert told([seen("MA05279", 0.99), able], "cn", "eu").text == "皖A05279"
    # A province that was hardly seen is none, nor is one before another text.
    hardly = [{"皖": 0.1, "A": 0.05}, *seen("A05279", 0.8)]
    assert told([seen("A05279", 0.99), hardly], "cn", "eu").text == "A05279"
    assert told([seen("W88131X", 0.99), able], "cn", "eu").text == "W88131X"


def test_an_empty_reading_has_no_text() -> None:
    assert settle([], GRAMMARS) is None
    assert settle([[]], GRAMMARS) is None
    assert settle([[{}]], GRAMMARS) is None


def test_patterns_are_written_out_and_mistakes_named() -> None:
    assert [len(form) for form in forms("letter{1,2} digit{0,2}", CLASSES)] == [1, 2, 3, 2, 3, 4]
    with pytest.raises(ValueError, match=r"'numeral\{2\}' is neither"):
        forms("letter numeral{2}", CLASSES)
    with pytest.raises(ValueError, match="plates of 'xx' are not known; regions are br, cn, eu, us"):
        grammars(["xx"])


def test_looking_alike_goes_both_ways() -> None:
    assert all(one in NEAR[other] for one, others in NEAR.items() for other in others)
    assert NEAR["0"]["O"] > NEAR["0"]["Q"] > NEAR["0"].get("X", 0.0) == 0
