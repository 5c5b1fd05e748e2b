"""The region's own key."""

from dataclasses import dataclass

import pulumi

from ..iam.documents import document
from ..iam.keys import region_key
from ..naming import RegionNames
from ..standard.key import rotated_key


@dataclass(frozen=True, kw_only=True)
class RegionKeyArgs:
    """The stack's names."""

    names: RegionNames


class RegionKey(pulumi.ComponentResource):
    """The key for what customers share: logs, queues, registry, requests. No vault depends on it."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, args: RegionKeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gdpr:keys:RegionKey", name, None, opts)
        key = rotated_key(
            f"{name}-key",
            parent=self,
            names=args.names,
            description=f"{args.names.prefix}: logs, queues, registry and requests",
            alias="region",
            policy=document(region_key(args.names)),
            data_class="pseudonymous",
        )
        self.arn = key.arn
        self.register_outputs({"arn": self.arn})
