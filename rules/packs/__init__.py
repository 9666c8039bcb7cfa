"""The rules Vedette ships, each with its texts, its sources and its tests."""

from importlib.resources import files

from rules.language import RuleSet, load_rules


def shipped() -> RuleSet:
    """Every shipped rule, in the order of the files' names.

    Raises:
        RuleError: a pack is faulty.
    """
    rules = RuleSet()
    packs = sorted((pack for pack in files(__name__).iterdir() if pack.name.endswith(".yaml")), key=lambda p: p.name)
    for pack in packs:
        rules += load_rules(pack.read_text(encoding="utf-8"), pack.name)
    return rules
