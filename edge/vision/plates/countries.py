"""The plates of China, the countries of Europe, the states of the USA and Brazil, as grammars.

China: GA 36-2018 (motor vehicle number plates) and GA 36-2014 before it. Europe, Brazil and the USA: the patterns that
the countries and states publish for ordinary plates; personal ones fit by chance or not at all. Where a country forbids
letters that look like digits its grammar forbids them too: that is what settles them.
"""

from __future__ import annotations

from collections.abc import Sequence

from contract.plates import DIGITS, LETTERS, PROVINCES
from edge.vision.plates.grammar import Grammar, forms


def without(letters: str) -> str:
    """The alphabet less some letters."""
    return "".join(one for one in LETTERS if one not in letters)


CLASSES = {
    "digit": DIGITS,
    "letter": LETTERS,
    "any": DIGITS + LETTERS,
    "province": PROVINCES,
    # Neither I nor O: GA 36 leaves them out of a serial.
    "serial": DIGITS + without("IO"),
    "cn": without("IO"),
    "fr": without("IOU"),
    "it": without("IOQU"),
    "es": without("AEIOUQ"),
    "pl": without("QI"),
    "plend": DIGITS + without("QIBDOZ"),
    "cz": without("GOQW"),
    "gr": "ABEZHIKMNOPTYX",
    "bg": "ABEKMHOPCTYX",
    "sk": without("QW"),
    "first": "123456789",
}

CHINA: tuple[tuple[str, str, str], ...] = (
    ("cn-civil", "blue yellow", "province cn serial{5}"),
    # Electric (D, A, B, C, E) or not purely so (F, G, H, J, K): small ones say it first, large ones last.
    ("cn-new-energy", "green", "province cn [DABCEFGHJK] serial digit{4} | province cn digit{5} [DABCEFGHJK]"),
    ("cn-police", "white", "province [ABCDEFGHJKLMNOPQRSTUVWXYZ] serial{4} [警]"),
    ("cn-government", "blue", "province [O] serial{5}"),
    ("cn-trailer", "yellow", "province cn serial{4} [挂]"),
    ("cn-learner", "yellow", "province cn serial{4} [学]"),
    ("cn-embassy", "black green", "[使] digit{6} | digit{6} [使]"),
    ("cn-consulate", "black green", "province cn serial{4} [领] | province cn digit{5} [领]"),
    ("cn-border", "black", "[粤] [Z] serial{4} [港澳]"),
    ("cn-army", "white", "[VZKHBSLJNGCEFDOUPR] [ABCDEFGHIJKLMNOPQRSTUVY] digit{5}"),
    ("cn-armed-police", "white", "[W] [J] province digit{4} serial | [W] [J] digit{5}"),
)
EUROPE: tuple[tuple[str, str, str], ...] = (
    ("eu-at", "", "letter{1,2} digit{1,5} letter{1,3} | letter{1,2} digit{3,6}"),
    ("eu-be", "", "[1-9] letter{3} digit{3} | letter{3} digit{3} | digit{3} letter{3}"),
    ("eu-bg", "", "bg{1,2} digit{4} bg{2}"),
    ("eu-ch", "", "letter{2} digit{1,6}"),
    ("eu-cy", "", "letter{3} digit{3}"),
    ("eu-cz", "", "first cz digit{5} | first cz cz digit{4} | first cz any digit{4}"),
    ("eu-de", "", "letter{2,3} first digit{0,3} | letter{3,5} first digit{0,3} | letter{2,4} first digit{0,3} [EH]"),
    ("eu-dk", "", "letter{2} digit{5}"),
    ("eu-ee", "", "digit{3} letter{3}"),
    ("eu-es", "", "digit{4} es{3}"),
    ("eu-fi", "", "letter{2,3} digit{1,3}"),
    ("eu-fr", "", "fr{2} digit{3} fr{2}"),
    ("eu-gb", "", "letter{2} digit{2} letter{3} | letter digit{1,3} letter{3} | letter{3} digit{1,3} letter"),
    ("eu-gr", "", "gr{3} digit{4}"),
    ("eu-hr", "", "letter{2} digit{3,4} letter{1,2}"),
    ("eu-hu", "", "letter{3} digit{3} | letter{4} digit{3}"),
    ("eu-ie", "", "digit{2,3} letter{1,2} digit{1,6}"),
    ("eu-it", "", "it{2} digit{3} it{2}"),
    ("eu-lt", "", "letter{3} digit{3}"),
    ("eu-lu", "", "letter{2} digit{4}"),
    ("eu-lv", "", "letter{2} digit{1,4}"),
    ("eu-mt", "", "letter{3} digit{3}"),
    (
        "eu-nl",
        "",
        (
            "letter{2} digit{2} letter{2} | digit{2} letter{3} digit | digit letter{3} digit{2} | "
            "letter digit{3} letter{2} | letter{2} digit{3} letter | digit{2} letter{4} | letter{4} digit{2} | "
            "letter{3} digit{2} letter | letter digit{2} letter{3} | digit letter{2} digit{3} | "
            "digit{3} letter{2} digit"
        ),
    ),
    ("eu-no", "", "letter{2} digit{5}"),
    (
        "eu-pl",
        "",
        (
            "pl{2} digit{5} | pl{2} digit{4} plend | pl{2} digit{3} plend{2} | pl{2} digit plend digit{3} | "
            "pl{2} digit plend{2} digit{2} | pl{3} plend digit{3} | pl{3} digit{2} plend{2} | "
            "pl{3} digit plend digit{2} | pl{3} digit{2} plend digit | pl{3} digit plend{2} digit | "
            "pl{3} plend{2} digit{2} | pl{3} digit{5} | pl{3} digit{4} plend | pl{3} digit{3} plend{2}"
        ),
    ),
    (
        "eu-pt",
        "",
        "letter{2} digit{2} letter{2} | digit{2} letter{2} digit{2} | digit{4} letter{2} | letter{2} digit{4}",
    ),
    ("eu-ro", "", "[B] digit{2,3} letter{3} | letter{2} digit{2} letter{3}"),
    ("eu-se", "", "letter{3} digit{3} | letter{3} digit{2} letter"),
    ("eu-si", "", "letter{2} digit{2,3} letter{2} | letter{2} letter digit{2} letter | letter{2} letter{2} digit{3}"),
    ("eu-sk", "", "sk{2} digit{3} sk{2}"),
)
AMERICA: tuple[tuple[str, str, str], ...] = (
    ("us-ca", "", "digit letter{3} digit{3}"),
    ("us-co", "", "letter{4} digit{2} | letter{3} digit{3}"),
    ("us-ct", "", "letter{2} digit{5} | digit{3} letter{3}"),
    ("us-fl", "", "letter{4} digit{2} | letter{3} digit{3} | digit{3} letter{3}"),
    ("us-ga", "", "letter{3} digit{4}"),
    ("us-il", "", "letter{2} digit{5} | letter digit{6} | digit{6,7}"),
    ("us-ma", "", "digit letter{3} digit{2} | digit letter{2} digit{3} | digit{3} letter{2} digit"),
    ("us-md", "", "digit letter{2} digit{4}"),
    ("us-mi", "", "letter{3} digit{4} | digit letter{3} digit{2}"),
    ("us-nc", "", "letter{3} digit{4}"),
    ("us-nj", "", "letter digit{2} letter{3}"),
    ("us-ny", "", "letter{3} digit{4}"),
    ("us-oh", "", "letter{3} digit{4}"),
    ("us-or", "", "digit{3} letter{3}"),
    ("us-pa", "", "letter{3} digit{4}"),
    ("us-tx", "", "letter{3} digit{4} | letter{2} digit letter digit{3}"),
    ("us-va", "", "letter{3} digit{4}"),
    ("us-wa", "", "letter{3} digit{4}"),
    # The plates of the Mercosul and, grey, those before them.
    ("br-mercosul", "white", "letter{3} digit letter digit{2}"),
    ("br-grey", "", "letter{3} digit{4}"),
)
GRAMMARS = tuple(
    Grammar(name, tuple(form for one in spec.split(" | ") for form in forms(one, CLASSES)), frozenset(colours.split()))
    for name, colours, spec in (*CHINA, *EUROPE, *AMERICA)
)


def grammars(regions: Sequence[str] = ()) -> tuple[Grammar, ...]:
    """The grammars of some regions (`cn`, `eu`, `us`, `br`) or countries (`eu-sk`, `us-ca`); all where none is named.

    Raises `ValueError` naming the region that is not known.
    """
    chosen: list[Grammar] = []
    for region in regions:
        found = [one for one in GRAMMARS if one.name == region or one.name.startswith(f"{region}-")]
        if not found:
            known = sorted({one.name.partition("-")[0] for one in GRAMMARS})
            raise ValueError(
                f"plates of '{region}' are not known; regions are {', '.join(known)}, countries such as eu-sk"
            )
        chosen += [one for one in found if one not in chosen]
    return tuple(chosen) if regions else GRAMMARS
