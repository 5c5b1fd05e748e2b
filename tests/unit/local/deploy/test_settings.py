"""Pulumi's settings files, read as the CLI would."""

import json
from pathlib import Path

import pytest

from local.deploy.creator import DeploymentError
from local.deploy.settings import region_of, stack_config, stack_names


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        "name: shop\nconfig:\n  size: {type: integer, default: 3}\n  kept: {type: string}\n  other:plain: x\n"
    )
    (tmp_path / "Pulumi.north.yaml").write_text(
        "config:\n  aws:region: eu-north-1\n  shop:open: true\n  until: 2026-01-31\n"
        "  shop:list: [{from: 2026-01-01}]\n"
    )
    (tmp_path / "Pulumi.secret.yaml").write_text("config:\n  shop:password: {secure: AAAB}\n")
    return tmp_path


def test_values_are_text_structures_json_and_dates_what_the_cli_makes_of_them(project: Path) -> None:
    config = stack_config("north", project)
    assert config["aws:region"] == "eu-north-1"
    assert config["shop:open"] == "true"
    assert config["shop:until"] == "2026-01-31 00:00:00 +0000 UTC"
    assert json.loads(config["shop:list"]) == [{"from": "2026-01-01 00:00:00 +0000 UTC"}]


def test_the_projects_defaults_hold_where_the_stack_says_nothing(project: Path) -> None:
    config = stack_config("north", project)
    assert config["shop:size"] == "3"
    assert config["other:plain"] == "x"
    assert "shop:kept" not in config


def test_a_key_given_with_and_without_its_namespace_is_given_twice(project: Path) -> None:
    (project / "Pulumi.north.yaml").write_text("config:\n  shop:open: true\n  open: false\n")
    with pytest.raises(DeploymentError, match="open and shop:open are one key, given twice"):
        stack_config("north", project)


def test_stacks_are_the_settings_files(project: Path) -> None:
    assert stack_names(project) == ["north", "secret"]
    with pytest.raises(DeploymentError, match=r"no stack 'south'.*north, secret"):
        stack_config("south", project)


def test_an_encrypted_value_is_not_guessed(project: Path) -> None:
    with pytest.raises(DeploymentError, match="shop:password is encrypted"):
        stack_config("secret", project)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"config:\n  shop:list: [{to: {secure: AAAB}}]\n", "shop:list is encrypted"),
        (
            b"config:\n  gdpr:customers: []\n  gdpr:customers: []\n",
            r"line 3: gdpr:customers is already given",
        ),
        (b"config:\n  shop:name: caf\xe9\n", r"not UTF-8 \(byte 24\)"),
        (b"config:\n  a:b:c: 1\n", "a:b:c is no key"),
        (b"config: [a]\n", "config has to be a mapping"),
        (b"config:\n  shop:name: \x07\n", "not YAML"),
    ],
)
def test_what_the_cli_would_refuse_is_told_with_the_file(project: Path, content: bytes, told: str) -> None:
    (project / "Pulumi.odd.yaml").write_bytes(content)
    with pytest.raises(DeploymentError, match=rf"Pulumi\.odd\.yaml.*{told}"):
        stack_config("odd", project)


def test_a_file_that_is_not_yaml_is_named_with_the_line(project: Path) -> None:
    (project / "Pulumi.torn.yaml").write_text("config:\n  aws:region: eu-west-1\n  list: [\n")
    with pytest.raises(DeploymentError, match=r"Pulumi\.torn\.yaml, line \d+: not YAML"):
        stack_config("torn", project)


@pytest.mark.parametrize("region", ["eu_west_1", "eu-west-1 ", "eu west 1", '{"a":"b"}', "-1", "../x"])
def test_what_cannot_be_a_region_is_told_with_the_file(region: str) -> None:
    with pytest.raises(DeploymentError, match=r"^Pulumi\.north\.yaml: aws:region is .*: write a region"):
        region_of("north", {"aws:region": region})
    assert region_of("north", {"aws:region": "EU-WEST-9"}), "whether there is such a one, the program says"
