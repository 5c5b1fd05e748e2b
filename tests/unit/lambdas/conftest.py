"""The regions in which the functions are called, each in an emulated AWS of its own."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from privacy.api import contract as api_contract

from . import region as regions
from .support import api as apis
from .support import contract_region, faulty_region, stored_state, world
from .support.api import Api, Cloud
from .support.contract_region import Region
from .support.faults import Faults
from .support.world import World

OPENAPI = Path(api_contract.__file__).with_name("openapi.yaml")


@pytest.fixture(scope="session", autouse=True)
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The contract, put where the package has it: the package's build does the same."""
    loaded = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    path = tmp_path_factory.mktemp("contract") / "openapi.json"
    path.write_text(json.dumps(loaded), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_contract, "DOCUMENT", path)
        yield loaded


def _nothing() -> str:
    return regions.REGION


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty AWS in one region."""
    with regions.emulated(monkeypatch, _nothing, {}) as region_name:
        yield region_name


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """A region as the functions behind the API find it, with the customers acme and zenith."""
    with regions.emulated(monkeypatch, apis.make_cloud, apis.VARIABLES) as made:
        yield made


@pytest.fixture
def api(cloud: Cloud, document: dict[str, Any]) -> Api:
    """The API of that region, just deployed."""
    return Api(cloud, document)


@pytest.fixture
def fresh() -> Iterator[str]:
    """Names that nobody had before, for the examples of a property: they all meet the same tables."""
    return (f"fresh-{number}" for number in itertools.count())


@pytest.fixture(name="world")
def one_vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """One customer's vault, without Step Functions and SQS between the functions."""
    with regions.emulated(monkeypatch, world.make_vault, world.VARIABLES) as key_arn:
        regions.share_clients(monkeypatch)
        yield world.world_of(key_arn)


@pytest.fixture(name="region")
def contract_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    """Two customers with data; the contract of one of them is over."""
    with regions.emulated(monkeypatch, contract_region.make_both, contract_region.VARIABLES) as made:
        regions.share_clients(monkeypatch)
        region = Region(*made)
        for step in contract_region.STEPS.values():
            region.functions.module(step)  # tests set their clocks before they call them
        yield region


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[faulty_region.Region]:
    """Two customers, and functions that are called as AWS does; their calls can go wrong."""
    faults = Faults()
    faulty_region.hasten(monkeypatch)
    with (
        regions.emulated(monkeypatch, stored_state.make, faulty_region.VARIABLES),
        faults.installed(),
    ):
        regions.share_clients(monkeypatch)
        yield faulty_region.region_of(faults)
