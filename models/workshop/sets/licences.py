"""What the licences of the image sets allow, as the data folder's README states them."""

from __future__ import annotations

from dataclasses import dataclass

DRAWN = "drawn by Vedette (vedette.drawn)"
_NAMED = "train; show with the author's name"
_UNSTATED = "train and measure; ship no picture"


@dataclass(frozen=True)
class Licence:
    """The licence of the sources whose names begin with `begins`: `text` for a card, and what it `allows`."""

    begins: str
    text: str
    allows: str


LICENCES = (
    Licence("fire_smoke_sathurshan", "CC BY 4.0", _NAMED),
    Licence("continuous_fire_k1mo55", "CC BY 4.0", _NAMED),
    Licence("cctv_fire8_abonia", "CC BY 4.0", _NAMED),
    Licence("person1", "CC BY 4.0", _NAMED),
    Licence("personlike", "not stated; trained on, no picture shipped", _UNSTATED),
    Licence("coco128", "mixed Creative Commons", "measure only: the published weights have seen it"),
    Licence("taught-crowd", "ShanghaiTech, research data, not stated; trained on, no picture shipped", _UNSTATED),
    Licence("shanghaitech", "research data, not stated; trained on, no picture shipped", _UNSTATED),
    Licence("taught-personlike", "not stated; trained on, no picture shipped", _UNSTATED),
    Licence("taught-fire", "CC BY 4.0", _NAMED),
    Licence("taught-plate", "CC BY 4.0", _NAMED),
    Licence("license_plate", "CC BY 4.0", _NAMED),
    Licence("openalpr", "AGPL-3.0", "measure only"),
    Licence("easypr", "GDSL, non-commercial", "measure only"),
    Licence("cn-crops", "Apache-2.0", "train; show with the notice"),
    Licence("drawn", DRAWN, "everything"),
    Licence("plated", "CC BY 4.0, with plates out of cn-crops (Apache-2.0)", _NAMED),
    Licence("alight", "flames and lamps drawn by Vedette on pictures of the other sets", _UNSTATED),
)


def licence_of(source: str) -> str:
    """The licence of a source, for a card; `not stated` where the README knows none."""
    return next((known.text for known in LICENCES if source.startswith(known.begins)), "not stated")


def allows(source: str) -> str:
    """What may be done with the pictures of a source."""
    return next((known.allows for known in LICENCES if source.startswith(known.begins)), "nothing stated: ask first")
