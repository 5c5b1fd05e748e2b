"""Physical names and ARNs of a stack, all in one place and all plain strings.

They follow from project, stack, account and region alone. IAM documents can therefore be written without
waiting for a resource; two stacks fit in one account because every name begins with the stack's own prefix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

DataClass = Literal["personal", "pseudonymous", "operational"]
"""Tag `data-class`: people's data; subject references and requests about them; neither."""

SHARED = "shared"
"""Tag `customer` of what no single customer owns."""


API_STAGE = "live"
"""Name of the API's one stage, which is part of its URL."""


@dataclass(frozen=True, kw_only=True)
class RegionNames:
    """Names and ARNs within one stack."""

    project: str
    stack: str
    account: str
    region: str

    @classmethod
    def worst_case(cls, project: str, stack: str, region: str) -> Self:
        """Names with a stand-in account id, which always has 12 digits: good for checking lengths."""
        return cls(project=project, stack=stack, account="0" * 12, region=region)

    @property
    def prefix(self) -> str:
        """What every physical name begins with."""
        return f"{self.project}-{self.stack}"

    def tags(self, data_class: DataClass, customer: str = SHARED) -> Mapping[str, str]:
        """Tags of a resource."""
        return {"stack": self.prefix, "customer": customer, "data-class": data_class}

    def name(self, suffix: str) -> str:
        """Return a name of this stack."""
        return f"{self.prefix}-{suffix}"

    def arn(self, service: str, resource: str) -> str:
        """ARN of a regional resource."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def role(self, suffix: str) -> str:
        """ARN of one of the stack's roles."""
        return f"arn:aws:iam::{self.account}:role/{self.name(suffix)}"

    def role_and_sessions(self, suffix: str) -> list[str]:
        """ARN patterns of one of the stack's roles as a caller.

        AWS gives the role's ARN as `aws:PrincipalArn`, others the session's.
        """
        session = f"arn:aws:sts::{self.account}:assumed-role/{self.name(suffix)}/*"
        return [self.role(suffix), session]

    @property
    def account_principal(self) -> str:
        """ARN that stands for the whole account: IAM decides who in it."""
        return f"arn:aws:iam::{self.account}:root"

    def vault_bucket(self, customer: str) -> str:
        """Bucket of a vault; S3 wants it unique among all accounts, so it carries account and region."""
        return f"{self.name('vault-' + customer)}-{self.account}-{self.region}"

    def vault_table(self, customer: str, restored: str | None = None) -> str:
        """Table of a vault; `restored` names the one that a restoration made.

        Behind a dot, which no customer's id has: `acme-r1` may be a customer, too.
        """
        return self.name(f"vault-{customer}") + (f".{restored}" if restored is not None else "")

    def access_role(self, customer: str) -> str:
        """Role of a customer's own AWS principals."""
        return self.name(f"vault-{customer}-access")

    def external_id(self, customer: str) -> str:
        """External id that the customer's principals pass when they assume the access role; no secret."""
        return f"{self.prefix}-{customer}"

    @property
    def any_vault_bucket(self) -> str:
        """ARN pattern of this stack's vault buckets."""
        return f"arn:aws:s3:::{self.vault_bucket('*')}"

    @property
    def any_vault_table(self) -> str:
        """ARN pattern of this stack's vault tables."""
        return self.arn("dynamodb", f"table/{self.vault_table('*')}")

    @property
    def evidence_bucket(self) -> str:
        """Bucket of what the region keeps as evidence, for all of its customers."""
        return f"{self.name('evidence')}-{self.account}-{self.region}"

    @property
    def evidence_arn(self) -> str:
        """ARN of the evidence bucket."""
        return f"arn:aws:s3:::{self.evidence_bucket}"

    @property
    def any_alarm(self) -> str:
        """ARN pattern of this stack's alarms."""
        return self.arn("cloudwatch", f"alarm:{self.name('*')}")

    @property
    def registry_table(self) -> str:
        """Table that maps clients and buckets to customers."""
        return self.name("registry")

    @property
    def request_table(self) -> str:
        """Table of requests, idempotency answers and run locks."""
        return self.name("requests")

    def machine_arn(self, machine: str) -> str:
        """ARN of one of the stack's state machines, named without prefix."""
        return self.arn("states", f"stateMachine:{self.name(machine)}")

    def machine_sources(self, machine: str) -> list[str]:
        """ARNs that Step Functions may act for: the state machine, and its distributed map's children."""
        return [self.machine_arn(machine), f"{self.machine_arn(machine)}/*"]

    def machine_logs(self, machine: str) -> str:
        """Log group of a state machine; AWS wants this prefix where it delivers logs itself."""
        return f"/aws/vendedlogs/states/{self.name(machine)}"

    @property
    def run_machine_arn(self) -> str:
        """ARN of the state machine that carries out a run."""
        return self.machine_arn("run")

    @property
    def default_schedules_arn(self) -> str:
        """ARN of the schedule group that schedules are in unless they say otherwise."""
        return self.arn("scheduler", "schedule-group/default")

    @property
    def contract_schedules(self) -> str:
        """Group of the schedules that go by the customers' contracts."""
        return self.name("contracts")

    @property
    def contract_schedules_arn(self) -> str:
        """ARN of that group, which the scheduler passes as `aws:SourceArn`."""
        return self.arn("scheduler", f"schedule-group/{self.contract_schedules}")

    @property
    def event_bus(self) -> str:
        """Bus of the region's events about contracts; the rule on it and their topic have the same name."""
        return self.name("contracts")

    @property
    def event_rule_arn(self) -> str:
        """ARN of the rule that passes on every event of the bus."""
        return self.arn("events", f"rule/{self.event_bus}/{self.event_bus}")

    def function_arn(self, function: str) -> str:
        """ARN of one of the stack's functions, named without prefix."""
        return self.arn("lambda", f"function:{self.name(function)}")

    def queue_arn(self, queue: str) -> str:
        """ARN of one of the stack's queues, named without prefix."""
        return self.arn("sqs", self.name(queue))

    def function_logs(self, function: str) -> str:
        """Log group of a function, named as Lambda names it."""
        return f"/aws/lambda/{self.name(function)}"

    @property
    def api_logs(self) -> str:
        """Log group of the API's access log."""
        return f"/aws/apigateway/{self.prefix}"

    @property
    def token_domain(self) -> str:
        """Prefix of the token endpoint's host name, unique in a region among all accounts."""
        return f"{self.prefix}-{self.account}-{self.region}"
