"""What everything in a region stands on, as one value that every component is given."""

from dataclasses import dataclass

import pulumi

from .naming import RegionNames


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The stack's names, and the ARNs of what is declared before anything else.

    Roles stand within the boundary. Logs, queues and tables that customers share are encrypted under the
    region's key. What Lambda, the scheduler or EventBridge could not deliver goes to the dead letters.
    """

    names: RegionNames
    boundary_arn: pulumi.Input[str]
    region_key_arn: pulumi.Input[str]
    dead_letters_arn: pulumi.Input[str]
