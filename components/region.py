"""A region: everything of one stack, referring to nothing outside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pulumi
import pulumi_aws as aws

from .api.gateway import PrivacyApi, PrivacyApiArgs
from .api.identity import Identity, IdentityArgs
from .contracts.clock import ContractClock, ContractClockArgs, warn_of_ended
from .contracts.events import ContractEvents, ContractEventsArgs
from .functions.function import privacy_functions
from .ground import Ground
from .machines.machine import state_machines
from .naming import RegionNames
from .operations.account import AccountSettings, AccountSettingsArgs
from .operations.alarms import Alarms, AlarmsArgs
from .roles.roles import Boundary, BoundaryArgs, PurposeRoles, PurposeRolesArgs
from .schedules.recurring_call import recurring_calls
from .settings.settings import Settings
from .shared.evidence import EvidenceBucket, EvidenceBucketArgs
from .shared.queues import DeadLetters, DeadLettersArgs, ObjectEvents, ObjectEventsArgs
from .shared.region_key import RegionKey, RegionKeyArgs
from .shared.tables import Registry, RegistryArgs, RequestStore, RequestStoreArgs
from .vaults.beginning import begin_vaults
from .vaults.elsewhere import refuse_elsewhere
from .vaults.remains import deployed_customers, destroyed_vaults, refuse_unfinished
from .vaults.removed import refuse_removed
from .vaults.vault import customer_vaults


@dataclass(frozen=True, kw_only=True)
class RegionArgs:
    """The stack's settings, and the present moment (with a time zone).

    For days of a contract that lie before it, nothing is scheduled any more.
    """

    settings: Settings
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


class Region(pulumi.ComponentResource):
    """What a stack deploys: a vault for each customer, and what customers share.

    `outputs` are the stack's: `apiUrl`, `tokenUrl`, `clients` (secret), `evidence`, and `vaults` by customer.
    """

    outputs: Mapping[str, pulumi.Input[Any]]

    def __init__(self, name: str, args: RegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:region:Region", name, None, opts)
        settings, child = args.settings, pulumi.ResourceOptions(parent=self)
        customers, recipient = settings.customers, settings.operator.alarms
        limits = settings.limits
        ground = _ground(name, settings, child)
        deployed = deployed_customers(ground.names)
        refuse_unfinished(ground.names, (each.id for each in customers), deployed)
        destroyed = destroyed_vaults(ground.names, customers, deployed)
        living = [each for each in customers if each.id not in destroyed]
        warn_of_ended(living, args.now)

        account = AccountSettings(
            f"{name}-account", AccountSettingsArgs(ground=ground, account=settings.account), child
        )
        identity = Identity(
            f"{name}-identity",
            IdentityArgs(ground=ground, customers=customers, destroyed=destroyed.keys()),
            child,
        )
        functions = privacy_functions(name, ground, identity.pool_arn, limits.api_concurrency, child)
        purposes = PurposeRoles(
            f"{name}-purposes", PurposeRolesArgs(ground=ground, functions=functions), child
        )
        evidence = EvidenceBucket(
            f"{name}-evidence",
            EvidenceBucketArgs(
                ground=ground,
                years=settings.evidence.years,
                functions=functions,
                reader_role=purposes.arns["replay"],
            ),
            child,
        )
        events = ObjectEvents(
            f"{name}-object-events",
            ObjectEventsArgs(ground=ground, functions=functions, at_once=limits.index_concurrency),
            child,
        )
        today = args.now.astimezone(UTC).date()
        vaults = customer_vaults(
            name, ground, customers, purposes.arns, events.queue_arn, destroyed, today, child
        )
        registry = Registry(
            f"{name}-registry",
            RegistryArgs(ground=ground, customers=customers, vaults=vaults, identity=identity),
            child,
        )
        requests = RequestStore(f"{name}-requests", RequestStoreArgs(ground=ground), child)
        begin_vaults(
            name,
            living,
            vaults,
            functions["begin_vault"].function_name,
            after=(functions["begin_vault"], purposes, registry, requests),
            parent=self,
        )
        machines = state_machines(name, ground, functions, limits.run_concurrency, child)
        recurring_calls(name, ground, functions, child)
        ContractClock(
            f"{name}-clock",
            ContractClockArgs(
                ground=ground,
                customers=living,
                machine_arn=machines["contract-end"].arn,
                remind_function_arn=functions["remind_contract"].arn,
                now=args.now,
            ),
            child,
        )
        ContractEvents(f"{name}-contracts", ContractEventsArgs(ground=ground, recipient=recipient), child)
        Alarms(f"{name}-alarms", AlarmsArgs(ground=ground, functions=functions, recipient=recipient), child)
        api = PrivacyApi(
            f"{name}-api",
            PrivacyApiArgs(ground=ground, functions=functions, pool_arn=identity.pool_arn, ready=account),
            child,
        )

        self.outputs = {
            "apiUrl": api.url,
            "tokenUrl": identity.token_url,
            "clients": identity.credentials(),
            "evidence": evidence.facts,
            "vaults": {customer: vault.facts for customer, vault in vaults.items()},
        }
        self.register_outputs(dict(self.outputs))


def _ground(name: str, settings: Settings, opts: pulumi.ResourceOptions) -> Ground:
    """Declare what all else stands on.

    Raises RemovedCustomerError where the config forgot a customer, VaultElsewhereError where one of its
    customers has a vault in another stack.
    """
    names = RegionNames(
        project=settings.project,
        stack=settings.stack,
        account=aws.get_caller_identity().account_id,
        region=settings.region,
    )
    customers = [customer.id for customer in settings.customers]
    refuse_removed(names, customers)
    refuse_elsewhere(names, customers)
    key = RegionKey(f"{name}-key", RegionKeyArgs(names=names), opts)
    boundary = Boundary(f"{name}-boundary", BoundaryArgs(names=names), opts)
    dead_letters = DeadLetters(
        f"{name}-dead-letters", DeadLettersArgs(names=names, region_key_arn=key.arn), opts
    )
    return Ground(
        names=names, boundary_arn=boundary.arn, region_key_arn=key.arn, dead_letters_arn=dead_letters.arn
    )
