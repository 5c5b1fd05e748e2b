"""What S3 removes from a vault's bucket by itself: the second line behind runs and the contract's end.

S3 acts at midnight UTC: days are counted from the object's time and rounded up to the next midnight, a date
rule acts from its date's midnight on (S3 User Guide, "Lifecycle configuration elements"). Nothing goes early.
"""

from datetime import date
from typing import Final

from pulumi_aws import s3

from ..iam.purposes import EXPORTS
from ..settings.settings import Contract

UNFINISHED_UPLOAD_DAYS: Final = 1
NONCURRENT_DAYS: Final = 30
"""Days that an overwritten or deleted version can still be brought back. Erasure does not wait for it."""

LAST_BYTE_DAYS: Final = NONCURRENT_DAYS + 1
"""Days after the destruction date until S3 has removed the last version by itself: what expires in the date's
night has been noncurrent for NONCURRENT_DAYS some time during a day, which is rounded up to its end."""

LAST_MARKER_DAYS: Final = LAST_BYTE_DAYS + 1
"""The same for the last delete marker: the night after the version that it hid has gone."""

EXPORT_DAYS: Final = 7
"""Days that a copy made for a data subject or the customer can be fetched."""


def lifecycle_rules(contract: Contract, today: date) -> list[s3.BucketLifecycleConfigurationRuleArgs]:
    """Return the bucket's rules on a day (UTC); the last one moves with the contract, and rests under a hold.

    At its date every current version gets a delete marker and becomes noncurrent, so the last byte goes
    LAST_BYTE_DAYS later. The contract-end workflow does not wait for that. Under a hold that stands on that
    day or later, older versions stay, too: among them is what the night of that day has hidden.
    """
    held = contract.hold is not None
    hidden = held and today >= contract.destruction
    everything = s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    exports = s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=EXPORTS)
    return [
        s3.BucketLifecycleConfigurationRuleArgs(
            id="unfinished-uploads",
            status="Enabled",
            filter=everything,
            abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=UNFINISHED_UPLOAD_DAYS
            ),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="lone-delete-markers",
            status="Enabled",
            filter=everything,
            expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="older-versions",
            status="Disabled" if hidden else "Enabled",
            filter=everything,
            noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=NONCURRENT_DAYS
            ),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="exports",
            status="Enabled",
            filter=exports,
            expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=EXPORT_DAYS),
            noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=1
            ),
        ),
        s3.BucketLifecycleConfigurationRuleArgs(
            id="contract-end",
            status="Disabled" if held else "Enabled",
            filter=everything,
            expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(
                date=f"{contract.destruction}T00:00:00Z"
            ),
        ),
    ]
