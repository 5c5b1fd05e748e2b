"""A region: everything of one stack, referring to nothing outside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pulumi
import pulumi_aws as aws

from .api.contract import routes
from .api.gateway import PrivacyApi, PrivacyApiArgs
from .api.identity import Identity, IdentityArgs
from .contracts.clock import ContractClock, ContractClockArgs, warn_of_ended
from .contracts.events import ContractEvents, ContractEventsArgs
from .foundation import Foundation
from .functions.catalogue import FUNCTIONS
from .functions.function import PrivacyFunction, PrivacyFunctionArgs
from .iam.purposes import PURPOSES, Purpose
from .machines.catalogue import MACHINES
from .machines.machine import Machine, MachineArgs
from .naming import RegionNames
from .operations.account import AccountSettings, AccountSettingsArgs
from .operations.alarms import Alarms, AlarmsArgs
from .roles.roles import Boundary, BoundaryArgs, PurposeRoles, PurposeRolesArgs
from .schedules.catalogue import RECURRING_CALLS
from .schedules.recurring_call import RecurringCall, RecurringCallArgs
from .settings.settings import Settings
from .shared.evidence import EvidenceBucket, EvidenceBucketArgs
from .shared.queues import DeadLetters, DeadLettersArgs, ObjectEvents, ObjectEventsArgs
from .shared.region_key import RegionKey, RegionKeyArgs
from .shared.tables import Registry, RegistryArgs, RequestStore, RequestStoreArgs
from .vaults.removed import refuse_removed
from .vaults.vault import CustomerVault, CustomerVaultArgs


@dataclass(frozen=True, kw_only=True)
class RegionArgs:
    """The stack's settings, and the moment that tells the days past from those to come (aware)."""

    settings: Settings
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


class Region(pulumi.ComponentResource):
    """What a stack deploys: a vault for each customer, and what customers share.

    `outputs` are the stack's: `apiUrl`, `tokenUrl`, `clients` (secret), `evidence`, and `vaults` by customer.
    """

    outputs: Mapping[str, pulumi.Input[Any]]

    def __init__(self, name: str, args: RegionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:region:Region", name, None, opts)
        settings = args.settings
        names = RegionNames(
            project=settings.project,
            stack=settings.stack,
            account=aws.get_caller_identity().account_id,
            region=settings.region,
        )
        refuse_removed(names, (customer.id for customer in settings.customers))
        warn_of_ended(settings.customers, args.now)
        child = pulumi.ResourceOptions(parent=self)
        account = AccountSettings(
            f"{name}-account", AccountSettingsArgs(names=names, account=settings.account), opts=child
        )
        key = RegionKey(f"{name}-key", RegionKeyArgs(names=names), opts=child)
        boundary = Boundary(f"{name}-boundary", BoundaryArgs(names=names), opts=child)
        dead_letters = DeadLetters(
            f"{name}-dead-letters", DeadLettersArgs(names=names, region_key_arn=key.arn), opts=child
        )
        identity = Identity(
            f"{name}-identity",
            IdentityArgs(names=names, customers=settings.customers, scopes=routes().scopes),
            opts=child,
        )
        functions = {
            module: PrivacyFunction(
                f"{name}-{spec.name}",
                PrivacyFunctionArgs(
                    names=names,
                    spec=spec,
                    boundary_arn=boundary.arn,
                    region_key_arn=key.arn,
                    user_pool_arn=identity.pool_arn,
                    dead_letters_arn=dead_letters.arn,
                ),
                opts=child,
            )
            for module, spec in FUNCTIONS.items()
        }
        purpose_roles = PurposeRoles(
            f"{name}-purposes",
            PurposeRolesArgs(
                names=names, boundary_arn=boundary.arn, function_roles=_function_roles(functions)
            ),
            opts=child,
        )
        evidence = EvidenceBucket(
            f"{name}-evidence",
            EvidenceBucketArgs(
                names=names,
                years=settings.evidence.years,
                writer_roles=[
                    functions[module].role_arn for module, spec in FUNCTIONS.items() if spec.evidence
                ],
                reader_role=purpose_roles.arns["replay"],
            ),
            opts=child,
        )
        events = ObjectEvents(
            f"{name}-object-events",
            ObjectEventsArgs(
                names=names, region_key_arn=key.arn, index_function_arn=functions["index_objects"].arn
            ),
            opts=child,
        )
        vaults = {
            customer.id: CustomerVault(
                f"{name}-vault-{customer.id}",
                CustomerVaultArgs(
                    names=names,
                    customer=customer,
                    boundary_arn=boundary.arn,
                    purpose_roles=purpose_roles.arns,
                    events_queue_arn=events.queue_arn,
                ),
                opts=child,
            )
            for customer in settings.customers
        }
        RequestStore(f"{name}-requests", RequestStoreArgs(names=names, region_key_arn=key.arn), opts=child)
        Registry(
            f"{name}-registry",
            RegistryArgs(
                names=names,
                region_key_arn=key.arn,
                customers=settings.customers,
                vaults=vaults,
                user_pool_id=identity.pool_id,
                client_ids={program: client.id for program, client in identity.clients.items()},
            ),
            opts=child,
        )
        foundation = Foundation(
            names=names,
            boundary_arn=boundary.arn,
            region_key_arn=key.arn,
            dead_letters_arn=dead_letters.arn,
        )
        machines = {
            machine.name: Machine(
                f"{name}-{machine.name}",
                MachineArgs(foundation=foundation, spec=machine, functions=functions),
                opts=child,
            )
            for machine in MACHINES.values()
        }
        for call in RECURRING_CALLS.values():
            RecurringCall(
                f"{name}-{call.name}",
                RecurringCallArgs(foundation=foundation, spec=call, function_arn=functions[call.module].arn),
                opts=child,
            )
        ContractClock(
            f"{name}-clock",
            ContractClockArgs(
                names=names,
                customers=settings.customers,
                boundary_arn=boundary.arn,
                region_key_arn=key.arn,
                dead_letters_arn=dead_letters.arn,
                machine_arn=machines["contract-end"].arn,
                remind_function_arn=functions["remind_contract"].arn,
                now=args.now,
            ),
            opts=child,
        )
        ContractEvents(
            f"{name}-contracts",
            ContractEventsArgs(
                names=names,
                region_key_arn=key.arn,
                dead_letters_arn=dead_letters.arn,
                recipient=settings.operator.alarms,
            ),
            opts=child,
        )
        Alarms(
            f"{name}-alarms",
            AlarmsArgs(
                names=names,
                region_key_arn=key.arn,
                log_groups={module: function.log_group for module, function in functions.items()},
                recipient=settings.operator.alarms,
            ),
            opts=child,
        )
        api = PrivacyApi(
            f"{name}-api",
            PrivacyApiArgs(
                names=names,
                routes=routes(),
                functions=functions,
                pool_arn=identity.pool_arn,
                region_key_arn=key.arn,
                ready=account,
            ),
            opts=child,
        )
        self.outputs = {
            "apiUrl": api.url,
            "tokenUrl": identity.token_url,
            "clients": identity.credentials(),
            "evidence": evidence.facts,
            "vaults": {customer: vault.facts for customer, vault in vaults.items()},
        }
        self.register_outputs(dict(self.outputs))


def _function_roles(functions: Mapping[str, PrivacyFunction]) -> dict[Purpose, list[pulumi.Input[str]]]:
    return {
        purpose: [functions[module].role_arn for module, spec in FUNCTIONS.items() if spec.purpose == purpose]
        for purpose in PURPOSES
    }
