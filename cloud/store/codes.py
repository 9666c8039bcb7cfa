"""The small numbers that stand for lanes and qualities in the tables."""

from typing import Final

from contract.records import Lane, Quality

LANES: Final = (Lane.ALARM, Lane.LIVE, Lane.BACKLOG)
QUALITIES: Final = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD)
LANE_CODE: Final = {lane: code for code, lane in enumerate(LANES)}
QUALITY_CODE: Final = {quality: code for code, quality in enumerate(QUALITIES)}
