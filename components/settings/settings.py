"""The stack's config, parsed once into frozen, typed dataclasses.

Every mistake is found before anything is declared and reported in one message, each with its path, its value
and the fix: somebody who adds a customer wants one round, not one a mistake.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ..naming import RegionNames
from .checks import cross_checks
from .problems import Problem, SettingsError, from_pydantic
from .values import (
    CSV_MARK,
    CSV_QUOTE,
    CSV_VISIBLE,
    CUSTOMER_ID,
    FIELD_PATH,
    HOLD,
    LINE,
    NAME,
    PREFIX,
    PRINCIPAL_ARN,
    RESTORED_TABLE,
    contract_date,
    known_region,
    one_or_more,
    text_matching,
)

Scope = Literal["ingest", "erase", "correct", "access", "read", "unmask"]
"""What a program may do: one OAuth2 scope `privacy/<scope>` each."""

Format = Literal["records", "jsonl", "csv", "parquet", "object"]
"""How a dataset is kept: database records, files of rows, or whole files of one data subject."""

PersonalKind = Literal["name", "email", "phone", "text", "address", "id", "other"]
"""What a personal field holds; `text` is free text that may name anybody, `other` anything else personal."""

Encoding = Literal[
    "utf-8",
    "utf-16",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "windows-1250",
    "windows-1251",
    "windows-1252",
]
"""How text stands in csv files: encodings in which ASCII is in ASCII's place, and UTF-16 with its mark."""

_CONFIG: Final = ConfigDict(extra="forbid")

_Text = Annotated[str, BeforeValidator(text_matching(*LINE))]
_Contact = Annotated[
    str,
    BeforeValidator(
        text_matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address such as privacy@example.com")
    ),
]
_Date = Annotated[date, BeforeValidator(contract_date)]
_CustomerId = Annotated[str, BeforeValidator(text_matching(*CUSTOMER_ID))]
_Name = Annotated[str, BeforeValidator(text_matching(*NAME))]
_RestoredTable = Annotated[str, BeforeValidator(text_matching(*RESTORED_TABLE))]
_FieldPath = Annotated[str, BeforeValidator(text_matching(*FIELD_PATH))]
_FieldPaths = Annotated[tuple[_FieldPath, ...], BeforeValidator(one_or_more(*FIELD_PATH))]
_Prefix = Annotated[str, BeforeValidator(text_matching(*PREFIX))]
_CsvMark = Annotated[str, BeforeValidator(text_matching(*CSV_MARK))]
_CsvQuote = Annotated[str, BeforeValidator(text_matching(*CSV_QUOTE))]
_CsvVisible = Annotated[str, BeforeValidator(text_matching(*CSV_VISIBLE))]
_Hold = Annotated[str, BeforeValidator(text_matching(*HOLD))]
_Principal = Annotated[str, BeforeValidator(text_matching(*PRINCIPAL_ARN))]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Operator:
    """The processor: the company that runs this stack. Its alarms go to the address `alarms`."""

    name: _Text
    contact: _Contact
    alarms: _Contact | None = None


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Contract:
    """When the customer's data may be here. All dates are UTC days, both ends included.

    `hold` is the reason why nothing is destroyed for now (litigation): while it stands, destruction waits.
    `key_deletion_days` lie between the order to delete the vault's key, which is given when its data is
    destroyed, and the key's end (AWS KMS takes 7 to 30); until then a backup of the table could be read.
    `status` terminated is set once the data is destroyed: it lets what is left of the vault be removed.
    """

    starts: _Date
    ends: _Date
    grace_days: Annotated[int, Field(ge=0, le=365, strict=True, alias="graceDays")] = 30
    key_deletion_days: Annotated[int, Field(ge=7, le=30, strict=True, alias="keyDeletionDays")] = 30
    hold: _Hold | None = None
    status: Literal["active", "terminated"] = "active"

    @property
    def terminated(self) -> bool:
        """Whether the data is destroyed: nobody calls any more, and what is left may be removed."""
        return self.status == "terminated"

    @property
    def access_ends(self) -> date:
        """First day on whose midnight (UTC) nobody has access any more."""
        return self.ends + timedelta(days=1)

    @property
    def destruction(self) -> date:
        """Day on whose midnight (UTC) the data is destroyed: contract and grace days are over."""
        return self.access_ends + timedelta(days=self.grace_days)


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Program:
    """An OAuth2 client of the customer."""

    name: _Name
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Csv:
    """How a dataset's csv files are written (RFC 4180). Without `columns` each file begins with a header.

    With `quote` none quotes mean nothing. Lines that begin with `comment` are nobody's; an `escape` takes the
    meaning of the character behind it. `header` says how names in the config are compared with the files'.
    """

    delimiter: _CsvMark = ","
    quote: _CsvQuote = '"'
    encoding: Encoding = "utf-8"
    columns: Annotated[tuple[_Text, ...], Field(min_length=1)] | None = None
    comment: _CsvVisible | None = None
    escape: _CsvVisible | None = None
    header: Literal["exact", "caseless"] = "exact"


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Unattributed:
    """That the customer accepts what nobody can attribute in a dataset's files: answers repeat the reason."""

    accept: Literal[True]
    reason: _Hold


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Dataset:
    """What lies where: a prefix of the vault's bucket, or records in its table.

    `subjects` are the fields that name the people of a row: in the config one as a text, or a list of them.
    `remove` says what an erasure takes where the subject stands in a list: the row, or only the element.
    `as_of` names the field with a row's own time. With `index` scan the dataset is walked in every run that
    concerns it, and has no bucket events. `archived` says what a run does about files that S3 has to bring
    back before they can be read: have that done and wait, or say so and leave them. `unattributed` says that
    the customer accepts what nobody can attribute in its files.
    """

    name: _Name
    format: Format
    prefix: _Prefix | None = None
    subjects: Annotated[_FieldPaths, Field(alias="subject")] = ()
    personal: dict[_FieldPath, PersonalKind]
    remove: Literal["row", "element"] = "row"
    csv: Csv | None = None
    as_of: _FieldPath | None = None
    index: Literal["events", "scan"] = "events"
    archived: Literal["report", "restore"] = "report"
    unattributed: Unattributed | None = None


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Customer:
    """A controller whose data this stack holds.

    `restored_table` is set once the vault's table was restored: point-in-time recovery makes a new one.
    """

    id: _CustomerId
    controller: _Text
    contact: _Contact
    contract: Contract
    subject_id: Annotated[Literal["exact", "email"], Field(alias="subjectId")] = "exact"
    programs: tuple[Program, ...]
    principals: tuple[_Principal, ...] = ()
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1)]
    region: str | None = None
    restored_table: Annotated[_RestoredTable | None, Field(alias="restoredTable")] = None

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Prefixes of the bucket that hold datasets, in the order of the config."""
        return tuple(dataset.prefix for dataset in self.datasets if dataset.prefix is not None)


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Account:
    """What exists once an account (and region), and is therefore only made where a stack's config says so."""

    api_gateway_log_role: Annotated[bool, Field(strict=True, alias="apiGatewayLogRole")] = False
    block_public_s3: Annotated[bool, Field(strict=True, alias="blockPublicS3")] = False


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Evidence:
    """How long evidence is kept: no GDPR article says it, only that one must be able to show (Art. 5(2)).

    `years` has to outlast the time in which somebody may claim or fine; that is national law, commonly three
    to six years. Another number counts for what is written from then on: what is locked in compliance mode
    nobody can let go earlier.
    """

    years: Annotated[int, Field(ge=1, le=30, strict=True)] = 5


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Limits:
    """How many functions may be at work at once: of Lambda's quota for an account and region, in executions.

    A new account has 10 (AWS Lambda Developer Guide, "Lambda quotas"). The defaults leave three of them for
    the API and the recurring calls while one customer's run (2), a reindex (2), an export (1) and the bucket
    events (2) are at work. `run_concurrency` counts for each execution of a machine whose map fans out:
    batches of a run or a reindex, prefixes of a contract's end. `index_concurrency` counts for the queue of
    bucket events; SQS takes 2 to 1,000. `api_concurrency` is reserved for each function of the API, and is
    the most that it gets: AWS refuses it where fewer than 100 would be left for all others.
    """

    run_concurrency: Annotated[int, Field(ge=1, le=1000, strict=True, alias="runConcurrency")] = 2
    index_concurrency: Annotated[int, Field(ge=2, le=1000, strict=True, alias="indexConcurrency")] = 2
    api_concurrency: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = Field(
        default=None, alias="apiConcurrency"
    )


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class _Config:
    """Shape of the whole config, keyed as in the stack's file."""

    region: Annotated[str, Field(alias="aws:region"), BeforeValidator(known_region)]
    operator: Annotated[Operator, Field(alias="gdpr:operator")]
    customers: Annotated[tuple[Customer, ...], Field(alias="gdpr:customers")]
    account: Annotated[Account, Field(alias="gdpr:account")] = Field(default_factory=Account)
    evidence: Annotated[Evidence, Field(alias="gdpr:evidence")] = Field(default_factory=Evidence)
    limits: Annotated[Limits, Field(alias="gdpr:limits")] = Field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that differs between stacks."""

    project: str
    stack: str
    region: str
    operator: Operator
    customers: tuple[Customer, ...]
    account: Account
    evidence: Evidence
    limits: Limits


_NAMESPACES: Final = ("aws", "pulumi")
"""Whose config besides the program's own a stack's file may hold: the provider's, and the engine's."""

_ADAPTER: Final = TypeAdapter(_Config)


def _keys(shape: Any) -> tuple[str, ...]:  # noqa: ANN401 -- any of the dataclasses above
    return tuple(field.alias or name for name, field in shape.__pydantic_fields__.items())


_KEYS: Final = {
    (): _keys(_Config),
    ("gdpr:operator",): _keys(Operator),
    ("gdpr:account",): _keys(Account),
    ("gdpr:evidence",): _keys(Evidence),
    ("gdpr:limits",): _keys(Limits),
    ("gdpr:customers",): _keys(Customer),
    ("gdpr:customers", "contract"): _keys(Contract),
    ("gdpr:customers", "programs"): _keys(Program),
    ("gdpr:customers", "datasets"): _keys(Dataset),
    ("gdpr:customers", "datasets", "csv"): _keys(Csv),
    ("gdpr:customers", "datasets", "unattributed"): _keys(Unattributed),
}


def parse_settings(
    config: Mapping[str, Any], *, project: str, stack: str, strange: Sequence[Problem] = ()
) -> Settings:
    """Parse a stack's config, keyed as in its file (`aws:region`, `gdpr:customers` …).

    Raises SettingsError with every problem: those of shape, those between values, which are looked for even
    where the shape has problems, and the `strange` ones that the caller has found.
    """
    problems: list[Problem] = list(strange)
    parsed: _Config | None = None
    try:
        parsed = _ADAPTER.validate_python(dict(config))
    except ValidationError as error:
        problems += from_pydantic(error, _KEYS)
    problems += cross_checks(
        config, RegionNames.worst_case(project, stack, str(config.get("aws:region", "")))
    )
    if parsed is None or problems:
        raise SettingsError(stack, problems)
    return Settings(
        project=project,
        stack=stack,
        region=parsed.region,
        operator=parsed.operator,
        customers=parsed.customers,
        account=parsed.account,
        evidence=parsed.evidence,
        limits=parsed.limits,
    )


def load_settings() -> Settings:
    """Parse the running stack's own config.

    Raises SettingsError as parse_settings does.
    """
    own = pulumi.Config()
    config: dict[str, Any] = {}
    strange: list[Problem] = []
    for key in {**get_config_env(), **CONFIG.get()}:
        namespace, _, name = key.partition(":")
        if namespace == own.name:
            # The CLI hands an empty text over where the file gives no value.
            config[key] = _parsed(own.get(name))
        elif namespace not in _NAMESPACES:
            fix = f"nothing here reads it; write {own.name}:{name} if that is meant, or leave it out"
            strange.append(Problem(key, "set", fix))
    if (region := pulumi.Config("aws").get("region")) is not None:
        config["aws:region"] = region
    return parse_settings(config, project=pulumi.get_project(), stack=pulumi.get_stack(), strange=strange)


def _parsed(text: str | None) -> object:
    """Return what a value of the config is: structures are handed over as JSON."""
    try:
        return json.loads(text or "null")
    except ValueError:
        return text
