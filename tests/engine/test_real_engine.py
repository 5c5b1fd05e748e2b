"""The story, told to the real Pulumi engine and its CLI; `make engine` runs it."""

import json
from pathlib import Path

import pytest
import yaml

from local.emulator.emulator import ROOT
from tests.engine.deployers import Done, Pulumi, RefusedError, do
from tests.engine.story import EU, STORY, US, Life, base_config, live


@pytest.fixture(scope="module")
def by_engine(engine_life: Life) -> list[Done]:
    """What each step did with the real engine."""
    return live(engine_life)


@pytest.fixture
def pulumi(engine_life: Life, by_engine: list[Done]) -> Pulumi:
    """The real engine, when the story is over: us-east is up as its file says, eu-west is taken down."""
    assert len(by_engine) == len(STORY)
    assert isinstance(engine_life.deployer, Pulumi)
    return engine_life.deployer


def test_both_deployers_do_the_same(by_engine: list[Done], by_local: list[Done]) -> None:
    for step, engine, local in zip(STORY, by_engine, by_local, strict=True):
        assert local == engine, step.title
        assert bool(local.refused) == bool(engine.refused), step.title


def test_secrets_are_encrypted_in_the_state(engine_life: Life, pulumi: Pulumi) -> None:
    secrets = [
        pair["clientSecret"]
        for programs in engine_life.outputs["clients"].values()
        for pair in programs.values()
    ]
    assert len(secrets) == 3
    files = [path for path in pulumi.engine.state.rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in files]
    assert any(b"ciphertext" in text for text in texts)
    for secret in secrets:
        assert not [path for path, text in zip(files, texts, strict=True) if secret.encode() in text]
    shown = pulumi.cli("stack", "output", "--show-secrets", "--json", "--stack", US)
    assert secrets[0] in shown, "whoever has the passphrase can read them"
    assert secrets[0] not in pulumi.cli("stack", "output", "--json", "--stack", US)


def of_file(pulumi: Pulumi, stack: str) -> Path:
    return pulumi.engine.folder / f"Pulumi.{stack}.yaml"


def changes(pulumi: Pulumi) -> dict[str, int]:
    """What a preview of us-east would change."""
    found = pulumi.stack(US).preview(on_output=lambda _: None).change_summary
    return {str(kind): number for kind, number in found.items() if kind != "same"}


def test_the_cli_reads_the_stack_file_as_the_local_deployer_does(pulumi: Pulumi) -> None:
    file = of_file(pulumi, US)
    salt = yaml.safe_load(file.read_text("utf-8"))["encryptionsalt"]
    as_it_is = (ROOT / file.name).read_text("utf-8")
    file.write_text(f"{as_it_is}\nencryptionsalt: {salt}\n", "utf-8")
    assert changes(pulumi) == {}
    file.write_text(file.read_text("utf-8").replace('"2027-12-31"', "2027-12-31"), "utf-8")
    assert changes(pulumi) == {}, "a date without quotes, which the CLI takes for a time"
    pulumi.cli("config", "set", "--path", "gdpr:evidence.years", "5", "--stack", US)
    assert "2027-12-31 00:00:00 +0000 UTC" in file.read_text("utf-8"), "the CLI saves it in its own form"
    assert changes(pulumi) == {}


def test_a_mistake_in_the_config_is_told_without_a_traceback(pulumi: Pulumi) -> None:
    config = base_config(US)
    config["gdpr:customers"][0]["contract"]["ends"] = "next year"
    with pytest.raises(RefusedError) as refused:
        pulumi.preview(US, config)
    text = str(refused.value)
    assert "contract.ends is 'next year': write a day as 2026-12-31 (UTC)" in text
    assert "Traceback" not in text


def test_what_the_provider_does_not_know_is_told_and_nothing_is_made(pulumi: Pulumi) -> None:
    config = {**base_config(US), "aws:defaultTags": {"tags": {"team": "a"}}}
    with pytest.raises(RefusedError, match="defaultTags"):
        pulumi.preview(US, config)
    assert do(pulumi, US, lambda: pulumi.up(US, base_config(US))).nothing


def test_nothing_is_written_outside_the_ignored_folder(pulumi: Pulumi) -> None:
    for stack in (EU, US):
        assert "encryptionsalt" not in (ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8")
    assert json.loads(pulumi.cli("plugin", "ls", "--json"))[0]["name"] == "aws"
    assert str(pulumi.engine.folder).startswith(str(ROOT / ".local"))
