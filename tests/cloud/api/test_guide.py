"""The guide to the API names every way in, and no other."""

import re
from pathlib import Path

from cloud.api import evidence, exports, records, status, stream, uploads, warnings
from cloud.fleet import api as fleet

GUIDE = Path(__file__).parents[3] / "docs" / "api.md"


def test_the_guide_names_every_route_of_the_api() -> None:
    routers = (
        warnings.router,
        records.router,
        exports.router,
        evidence.router,
        status.router,
        stream.router,
        uploads.router,
        fleet.router,
    )
    routes = {getattr(route, "path", "").replace(":path}", "}") for router in routers for route in router.routes}
    named = set(re.findall(r"`(?:GET|POST|HEAD|PATCH) (/[^`?]*)", GUIDE.read_text()))
    assert named == routes
