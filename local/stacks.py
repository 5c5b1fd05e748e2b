"""Deployed stacks as clients, the demo and the tests see them."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from local.client import Credentials, PrivacyClient
from local.customers import Customer, customers_of
from local.deploy.creator import DeploymentError
from local.deploy.packages import local_packages
from local.deploy.program import deploy
from local.deploy.settings import stack_config, stack_names
from local.emulator.emulator import ACCOUNT, STATE, Emulator
from local.errors import LocalError


@dataclass(frozen=True, slots=True)
class Vault:
    """Where one customer's data is."""

    bucket: str
    table: str
    key_arn: str


@dataclass(frozen=True, slots=True)
class Stack:
    """One region that is up.

    Attributes:
        name: the stack.
        region: AWS region.
        endpoint: the emulator's address, for AWS clients.
        authority: file with the authority that TLS clients have to trust.
        account: AWS account id.
        api_url: base of the API, without `/v1`.
        token_url: OAuth2 token endpoint.
        clients: credentials by customer and program.
        vaults: where the data is, by customer.
    """

    name: str
    region: str
    endpoint: str
    authority: str
    account: str
    api_url: str
    token_url: str
    clients: Mapping[str, Mapping[str, Credentials]]
    vaults: Mapping[str, Vault]

    @property
    def prefix(self) -> str:
        """What the stack's physical names begin with."""
        return f"gdpr-{self.name}"

    def client(self, customer: str, program: str | None = None) -> PrivacyClient:
        """An API client of a customer, by default of its first program.

        Raises LocalError where the stack has no such customer, or the customer no such program.
        """
        programs = self.clients.get(customer)
        if programs is None:
            raise LocalError(f"{self.name} has no customer {customer}: {there_are(self.clients)}")
        name = program or next(iter(programs), "of any name")
        if name not in programs:
            raise LocalError(f"{customer} has no program {name}: {there_are(programs)}")
        credentials = programs[name]
        return PrivacyClient(self.api_url, self.token_url, credentials, trust=Path(self.authority))

    def customers(self) -> list[Customer]:
        """The customers as the stack's config declares them."""
        return customers_of(stack_config(self.name))

    def write(self) -> Path:
        """Write `.local/<stack>.json`, readable by this user alone because it holds the clients' secrets."""
        file = STATE / f"{self.name}.json"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(asdict(self), out, ensure_ascii=False, indent=2)
            out.write("\n")
        file.chmod(0o600)  # it may have been there before, with other rights
        return file

    @classmethod
    def read(cls, name: str) -> Self:
        """The stack that `python -m local up` keeps up in another terminal.

        Raises DeploymentError when there is none.
        """
        file = STATE / f"{name}.json"
        if not file.exists():
            raise DeploymentError(f"{file} is not there: start `make up` first")
        if not is_kept_up(name):
            raise DeploymentError(
                f"{name} is not up: the `up` that wrote {file} was ended from outside; start `make up` again"
            )
        described: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        described["clients"] = {
            customer: {program: Credentials(**pair) for program, pair in programs.items()}
            for customer, programs in described["clients"].items()
        }
        described["vaults"] = {customer: Vault(**facts) for customer, facts in described["vaults"].items()}
        return cls(**described)

    @classmethod
    def all_that_are_up(cls) -> list[Self]:
        """Every stack that `python -m local up` keeps up in another terminal."""
        names = [file.stem for file in sorted(STATE.glob("*.json"))]
        return [cls.read(name) for name in names if name in stack_names() and is_kept_up(name)]


def there_are(names: Iterable[str]) -> str:
    """Return the part of a sentence that says which there are."""
    return f"there are {', '.join(listed)}" if (listed := list(names)) else "there are none"


@contextmanager
def keeping_up(name: str) -> Iterator[None]:
    """Hold the stack's lock meanwhile: two that keep it up would take each other's files away.

    Raises LocalError where another process holds it.
    """
    STATE.mkdir(mode=0o700, exist_ok=True)
    with _lock_file(name).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with the process, however it ends
        except BlockingIOError:
            raise LocalError(f"{name} is up already: end the other `up` first (Ctrl-C)") from None
        yield


def is_kept_up(name: str) -> bool:
    """Return whether some process keeps the stack up: it holds the lock for as long as it lives."""
    if not _lock_file(name).exists():
        return False
    with _lock_file(name).open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_file(name: str) -> Path:
    return STATE / f"{name}.lock"


def deploy_stack(emulator: Emulator, name: str, *, config: Mapping[str, str] | None = None) -> Stack:
    """Deploy one stack with the packages of `make build` for this machine.

    `config` overrides single values of the stack's config.

    Raises DeploymentError for what the deployer does not know or the emulator refuses.
    """
    with local_packages():
        outputs = deploy(emulator, name, config=config)
    return Stack(
        name=name,
        region=stack_config(name)["aws:region"],
        endpoint=emulator.url,
        authority=str(emulator.authority),
        account=ACCOUNT,
        api_url=outputs["apiUrl"],
        token_url=f"{emulator.url}/oauth2/token",  # on AWS the host of outputs["tokenUrl"]
        clients={
            customer: {
                program: Credentials(pair["clientId"], pair["clientSecret"])
                for program, pair in programs.items()
            }
            for customer, programs in outputs["clients"].items()
        },
        vaults={
            customer: Vault(facts["bucket"], facts["table"], facts["keyArn"])
            for customer, facts in outputs["vaults"].items()
        },
    )
