"""The life of two stacks, step by step: what a platform engineer does, and what has to come of it."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from local.emulator.emulator import ACCOUNT
from tests.e2e.support import wait_for
from tests.engine.deployers import Config, Deployer, Done, base_config, do

EU, US = "eu-west", "us-east"
CUSTOMER = "vandelay"
BUCKET = f"gdpr-us-east-vault-{CUSTOMER}-{ACCOUNT}-us-east-1"
TABLE = f"gdpr-us-east-vault-{CUSTOMER}"
OF_TABLE = f"aws:dynamodb/table:Table 'gdpr-us-east-vault-{CUSTOMER}-table'"
OF_KEY = f"aws:kms/key:Key 'gdpr-us-east-vault-{CUSTOMER}-key'"
OF_CLIENT = f"aws:cognito/userPoolClient:UserPoolClient 'gdpr-us-east-identity-{CUSTOMER}.dpo'"
OF_BUCKET = f"aws:s3/bucket:Bucket 'gdpr-us-east-vault-{CUSTOMER}-bucket'"


def customer(**contract: object) -> dict[str, Any]:
    """Return the lines of a customer that comes, ends and goes."""
    return {
        "id": CUSTOMER,
        "controller": "Vandelay Industries",
        "contact": "privacy@vandelay.example",
        "contract": {"starts": "2026-01-01", "ends": "2099-12-31", "graceDays": 0, **contract},
        "programs": [{"name": "dpo", "scopes": ["ingest", "erase"]}],
        "datasets": [
            {
                "name": "latex",
                "format": "jsonl",
                "prefix": "latex/",
                "subject": "id",
                "personal": {"id": "id"},
            }
        ],
    }


def yesterday() -> str:
    """Return a contract's last day after which its data is due at once."""
    return (datetime.now(UTC) - timedelta(days=1)).date().isoformat()


def with_customer(**contract: object) -> Config:
    """Return us-east's config with one customer more."""
    config = base_config(US)
    return {**config, "gdpr:customers": [*config["gdpr:customers"], customer(**contract)]}


def renewed() -> Config:
    """Return us-east's config with one contract renewed."""
    config = base_config(US)
    config["gdpr:customers"][0]["contract"]["ends"] = "2028-12-31"
    return config


class Life:
    """The story's world: a deployer, what it gave back last, and what AWS has."""

    def __init__(self, deployer: Deployer) -> None:
        self.deployer = deployer
        self.outputs: Mapping[str, Any] = {}
        self.key_arn = ""

    def aws(self, service: str) -> Any:  # noqa: ANN401 -- any service's client
        """Return a client of us-east's region."""
        return self.deployer.emulator.client(service, "us-east-1")

    def up(self, stack: str, config: Config) -> Callable[[], None]:
        """Return the deployment of a stack with a config."""

        def action() -> None:
            self.outputs = self.deployer.up(stack, config)

        return action

    def key_state(self) -> str:
        """Return KMS's word for the leaving customer's key."""
        return str(self.aws("kms").describe_key(KeyId=self.key_arn)["KeyMetadata"]["KeyState"])

    def tables(self) -> list[str]:
        """Return the region's tables."""
        return list(self.aws("dynamodb").list_tables()["TableNames"])

    def buckets(self) -> list[str]:
        """Return the account's buckets."""
        return [each["Name"] for each in self.aws("s3").list_buckets()["Buckets"]]

    def put_object(self) -> None:
        """Put something into the customer's bucket."""
        self.key_arn = self.outputs["vaults"][CUSTOMER]["keyArn"]
        self.aws("s3").put_object(Bucket=BUCKET, Key="latex/1.jsonl", Body=b'{"id": "v"}\n')

    def end_contract(self) -> None:
        """Have the state machine destroy the customer's data, up to the key's waiting days."""
        states = self.aws("stepfunctions")
        machine = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:gdpr-us-east-contract-end"
        states.start_execution(stateMachineArn=machine, input=json.dumps({"customer": CUSTOMER}))

        def scheduled() -> bool:
            item = self.aws("dynamodb").get_item(
                TableName="gdpr-us-east-registry", Key={"pk": {"S": f"destruction#{CUSTOMER}"}}
            )
            return bool(item.get("Item", {}).get("state") == {"S": "scheduled"})

        wait_for(scheduled, "nothing but the key to be left")

    def confirm(self) -> None:
        """Note that the key is gone, as the state machine's last step does after the key's waiting days."""
        self.aws("dynamodb").update_item(
            TableName="gdpr-us-east-registry",
            Key={"pk": {"S": f"destruction#{CUSTOMER}"}},
            UpdateExpression="SET #state = :destroyed",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":destroyed": {"S": "destroyed"}},
        )

    def let_go(self) -> None:
        """Take AWS's own protection from eu-west's tables and user pool: the region is to be taken down."""
        emulator = self.deployer.emulator
        dynamodb = emulator.client("dynamodb", "eu-west-1")
        for table in dynamodb.list_tables()["TableNames"]:
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
        cognito = emulator.client("cognito-idp", "eu-west-1")
        (pool,) = cognito.list_user_pools(MaxResults=10)["UserPools"]
        cognito.update_user_pool(UserPoolId=pool["Id"], DeletionProtection="INACTIVE")


@dataclass(frozen=True)
class Step:
    """What is done, and what has to come of it besides what `check` looks at."""

    title: str
    stack: str
    action: Callable[[Life], Callable[[], object]]
    check: Callable[[Life, Done], None]


def _only(done: Done, *kinds: str) -> None:
    """Nothing was refused, and nothing else happened than this: made, changed, replaced or gone."""
    assert not done.refused, done.refused
    others = {"made", "changed", "replaced", "gone"} - set(kinds)
    assert {kind: getattr(done, kind) for kind in others if getattr(done, kind)} == {}


def _made(_life: Life, done: Done) -> None:
    _only(done, "made")
    assert len(done.made) > 400


def _nothing(_life: Life, done: Done) -> None:
    _only(done)


def _refused(*texts: str) -> Callable[[Life, Done], None]:
    def check(_life: Life, done: Done) -> None:
        assert done.refused
        assert done.nothing, "what is refused has changed nothing"
        for text in texts:
            assert text in done.refused, done.refused

    return check


def _renewed(_life: Life, done: Done) -> None:
    types = {label.partition(":")[2].partition(":")[2].partition(" ")[0] for label in done.changed}
    assert types == {"Schedule", "BucketLifecycleConfiguration", "BucketPolicy", "TableItem"}
    _only(done, "changed")
    assert all("initech" in label for label in done.changed)


def _added(life: Life, done: Done) -> None:
    assert {OF_TABLE, OF_KEY, OF_CLIENT, OF_BUCKET} < done.made
    _only(done, "made", "changed")
    assert all(CUSTOMER in label for label in done.made)
    assert BUCKET in life.buckets()


def _over(life: Life, done: Done) -> None:
    _only(done, "changed", "gone")
    assert all("clock" in label for label in done.gone), "nothing is scheduled for before now"
    assert TABLE in life.tables()


def _destroyed(life: Life, done: Done) -> None:
    assert done.nothing, "Pulumi's state does not know of it"
    assert TABLE not in life.tables()
    assert life.key_state() == "PendingDeletion"


def _refreshed(life: Life, done: Done) -> None:
    assert done.gone == {OF_TABLE, OF_KEY, OF_CLIENT}
    _only(done, "gone")
    assert life.key_state() == "PendingDeletion"
    assert BUCKET in life.buckets()


def _stays_destroyed(life: Life, done: Done) -> None:
    _only(done, "changed", "gone")
    # The call that began the vault is nothing in AWS: it is not called again.
    called = f"{CUSTOMER}-beginning"
    assert all(f"{CUSTOMER}.client" in label or "clock" in label or called in label for label in done.gone)
    assert TABLE not in life.tables()
    assert life.key_state() == "PendingDeletion"
    assert CUSTOMER not in life.outputs["clients"]


def _removed(life: Life, done: Done) -> None:
    assert OF_BUCKET in done.gone
    _only(done, "changed", "gone")
    assert all(CUSTOMER in label for label in done.gone)
    assert BUCKET not in life.buckets()
    assert life.key_state() == "PendingDeletion"


def _taken_down(life: Life, done: Done) -> None:
    _only(done, "gone")
    assert len(done.gone) > 400
    left = life.deployer.state(EU)
    assert not left, left
    assert not [bucket for bucket in life.buckets() if "eu-west" in bucket]
    assert [bucket for bucket in life.buckets() if "us-east" in bucket], "the other region is untouched"


_HELD_DATA = "is no longer in the stack's config, but its vault still holds data"
_OVER = {"ends": yesterday()}

STORY = (
    Step("up", EU, lambda life: life.up(EU, base_config(EU)), _made),
    Step("up again", EU, lambda life: life.up(EU, base_config(EU)), _nothing),
    Step("refresh", EU, lambda life: lambda: life.deployer.refresh(EU), _nothing),
    Step("up of the other region", US, lambda life: life.up(US, base_config(US)), _made),
    Step("a contract renewed", US, lambda life: life.up(US, renewed()), _renewed),
    Step("the contract as before", US, lambda life: life.up(US, base_config(US)), _renewed),
    Step("a customer added", US, lambda life: life.up(US, with_customer()), _added),
    Step("the customer has data", US, lambda life: life.put_object, _nothing),
    Step("its lines removed", US, lambda life: life.up(US, base_config(US)), _refused(CUSTOMER, _HELD_DATA)),
    Step("its contract over", US, lambda life: life.up(US, with_customer(**_OVER)), _over),
    Step("the contract's end", US, lambda life: life.end_contract, _destroyed),
    Step("up before a refresh", US, lambda life: life.up(US, with_customer(**_OVER)), _refused("protected")),
    Step("refresh", US, lambda life: lambda: life.deployer.refresh(US), _refreshed),
    Step("up after it", US, lambda life: life.up(US, with_customer(**_OVER)), _stays_destroyed),
    Step("refresh once more", US, lambda life: lambda: life.deployer.refresh(US), _nothing),
    Step("its lines removed too early", US, lambda life: life.up(US, base_config(US)), _refused("not over")),
    Step(
        "terminated",
        US,
        lambda life: life.up(US, with_customer(**_OVER, status="terminated")),
        _stays_destroyed,
    ),
    Step("refresh of the terminated", US, lambda life: lambda: life.deployer.refresh(US), _nothing),
    Step("its lines removed too early", US, lambda life: life.up(US, base_config(US)), _refused("not over")),
    Step("its key is gone", US, lambda life: life.confirm, _nothing),
    Step("its lines removed", US, lambda life: life.up(US, base_config(US)), _removed),
    Step("its id again", US, lambda life: life.up(US, with_customer()), _refused("Choose another id")),
    Step("up again", US, lambda life: life.up(US, base_config(US)), _nothing),
    Step("destroy", EU, lambda life: lambda: life.deployer.destroy(EU), _refused("protected")),
    Step("AWS's own protection off", EU, lambda life: life.let_go, _nothing),
    Step("unprotect", EU, lambda life: lambda: life.deployer.unprotect(EU), _nothing),
    Step("destroy", EU, lambda life: lambda: life.deployer.destroy(EU), _taken_down),
)


def live(life: Life) -> list[Done]:
    """Go through the whole story, and print it; return what each step did."""
    done = []
    for step in STORY:
        done.append(do(life.deployer, step.stack, step.action(life)))
        sys.stdout.write(f"  {step.stack:8}{step.title:30}{done[-1]}\n")
        step.check(life, done[-1])
    return done
