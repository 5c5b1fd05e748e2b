"""The firewall's managed rules against what is legal here: what matches legal input may only count."""

import re
from collections.abc import Mapping

import yaml

from components.api.contract import DOCUMENT
from components.api.firewall import COUNTED_RULES

LEGAL_IDS = ("session.log", "app.ini", "backup.sql", "a..b", "..", "169.254.169.254", "~root", "x.conf")

BLOCKING: Mapping[str, str] = {
    "UserAgent_BadBots_HEADER": "no customer's program calls itself a scanner",
    "SizeRestrictions_QUERYSTRING": "2,048 bytes; the longest legal query has some 100",
    "SizeRestrictions_Cookie_HEADER": "the API has no cookies",
    "SizeRestrictions_URIPATH": "1,024 bytes; the longest legal path has some 200",
    "EC2MetaDataSSRF_COOKIE": "the API has no cookies",
    "EC2MetaDataSSRF_QUERYARGUMENTS": "queries hold words, numbers and cursors of letters and digits",
    "GenericLFI_QUERYARGUMENTS": "the same",
    "RestrictedExtensions_QUERYARGUMENTS": "the same",
    "GenericRFI_QUERYARGUMENTS": "the same",
    "GenericRFI_URIPATH": "looks for a scheme and an address, and no id has a colon",
    "CrossSiteScripting_COOKIE": "the API has no cookies",
    "CrossSiteScripting_QUERYARGUMENTS": "queries hold words, numbers and cursors of letters and digits",
    "CrossSiteScripting_URIPATH": "no id has angle brackets",
}
"""All other rules of the set (AWS WAF Developer Guide, "Core rule set"): why no legal input meets them."""

# What the rules look for in a path, as far as AWS tells.
LOOKED_FOR = {
    "RestrictedExtensions_URIPATH": r"\.(log|ini|sql|conf|config|backup|bak)\b",
    "GenericLFI_URIPATH": r"\.\.",
    "EC2MetaDataSSRF_URIPATH": r"169\.254\.169\.254",
    "GenericRFI_URIPATH": r"://",
    "CrossSiteScripting_URIPATH": r"[<>]",
}


def test_every_rule_of_the_set_was_looked_at() -> None:
    assert not COUNTED_RULES.keys() & BLOCKING.keys()
    assert len(COUNTED_RULES) + len(BLOCKING) == 22


def test_rules_that_match_a_legal_record_id_only_count() -> None:
    paths = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))["paths"]
    (pattern,) = (
        parameter["schema"]["pattern"]
        for path in paths.values()
        for parameter in path.get("parameters", ())
        if parameter.get("name") == "record_id"
    )
    assert all(re.fullmatch(pattern, each) for each in LEGAL_IDS)
    for rule, looked_for in LOOKED_FOR.items():
        if any(re.search(looked_for, each) for each in LEGAL_IDS):
            assert rule in COUNTED_RULES, rule
        else:
            assert rule in BLOCKING, rule
