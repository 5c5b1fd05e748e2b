"""The evidence bucket: what the region can show later, kept where nobody can change or remove it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import s3

from ..functions.function import PrivacyFunction
from ..ground import Ground
from ..iam.documents import document
from ..iam.keys import evidence_key
from ..iam.resources import evidence_bucket
from ..standard.bucket import protected_bucket
from ..standard.key import rotated_key

_LONGEST_YEAR: Final = 366
_SHORTEST_YEAR: Final = 365


@dataclass(frozen=True, kw_only=True)
class EvidenceBucketArgs:
    """How many years evidence is kept, the functions by module name, and the role that reads the ledger."""

    ground: Ground
    years: int
    functions: Mapping[str, PrivacyFunction]
    reader_role: pulumi.Input[str]


class EvidenceBucket(pulumi.ComponentResource):
    """A bucket under Object Lock in compliance mode, with its own key.

    Functions only write to it; nobody, the account's root included, removes anything before its years are
    over. It holds ids, references, counts, times and digests, and nothing personal.
    """

    bucket: pulumi.Output[str]
    key_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: EvidenceBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("gdpr:evidence:EvidenceBucket", name, None, opts)
        names = args.ground.names
        writers = [each.role_arn for each in args.functions.values() if each.spec.evidence]
        key = rotated_key(
            f"{name}-key",
            parent=self,
            names=names,
            description=f"{names.prefix}: evidence",
            alias="evidence",
            policy=pulumi.Output.all(writers=writers, reader=args.reader_role).apply(
                lambda roles: document(evidence_key(names, roles["writers"], roles["reader"]))
            ),
            data_class="pseudonymous",
        )
        bucket, versioning = protected_bucket(
            name,
            parent=self,
            bucket=names.evidence_bucket,
            tags=names.tags("pseudonymous"),
            key_arn=key.arn,
            policy=lambda arn: document(evidence_bucket(names, arn, args.years * _SHORTEST_YEAR)),
            rules=lifecycle_rules(args.years),
            # Only possible when the bucket is made (v7 of the provider replaces it otherwise).
            object_lock_enabled=True,
        )
        s3.BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=bucket.bucket,
            rule=s3.BucketObjectLockConfigurationRuleArgs(
                default_retention=s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                    mode="COMPLIANCE", years=args.years
                )
            ),
            # S3 takes a lock only where versions are kept.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        self.bucket = bucket.bucket
        self.key_arn = key.arn
        self.facts: Mapping[str, pulumi.Input[Any]] = {
            "bucket": self.bucket,
            "keyArn": self.key_arn,
            "years": args.years,
        }
        self.register_outputs(dict(self.facts))


def lifecycle_rules(years: int) -> list[s3.BucketLifecycleConfigurationRuleArgs]:
    """Return the rules that let evidence go once its retention is over: kept longer it would serve nothing.

    Counted in the longest years, so that no rule comes before the lock's own end; S3 leaves locked versions
    alone in any case.
    """
    everything = s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    return [
        s3.BucketLifecycleConfigurationRuleArgs(
            id="retention-over",
            status="Enabled",
            filter=everything,
            expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=years * _LONGEST_YEAR),
            noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=1
            ),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="lone-delete-markers",
            status="Enabled",
            filter=everything,
            expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="unfinished-uploads",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=1
            ),
        ),
    ]
