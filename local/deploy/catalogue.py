"""Every resource type that can be created here."""

from typing import Final

from local.deploy.creator import Creator
from local.deploy.services import (
    apigateway,
    apigateway_stages,
    cognito,
    dynamodb,
    events,
    functions,
    iam,
    kms,
    messaging,
    monitoring,
    s3,
    wafv2,
    workflows,
)

CATALOGUE: Final[dict[str, Creator]] = {
    creator.token: creator
    for module in (
        apigateway,
        apigateway_stages,
        cognito,
        dynamodb,
        events,
        functions,
        iam,
        kms,
        messaging,
        monitoring,
        s3,
        wafv2,
        workflows,
    )
    for creator in module.CREATORS
}
"""Creators by Pulumi type token."""
