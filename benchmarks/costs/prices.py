"""List prices of AWS for eu-west-1 in US dollars, without taxes, free tiers and discounts.

As of November 2025, written down from memory of the pages that are named, not fetched: check them.
Storage, data transfer, logs and what costs the same whether anything happens or not (keys, firewall, backups)
are not in it.
"""

from typing import Final

PRICES: Final = {
    "S3 writes and listings": 0.005
    / 1000,  # aws.amazon.com/s3/pricing: PUT, COPY, POST, LIST; DELETE is free
    "S3 reads": 0.0004 / 1000,  # GET, HEAD and all others
    "DynamoDB write units": 0.705 / 1e6,  # aws.amazon.com/dynamodb/pricing/on-demand
    "DynamoDB read units": 0.141 / 1e6,
    "KMS requests": 0.03 / 10_000,  # aws.amazon.com/kms/pricing
    "Lambda invocations": 0.20 / 1e6,  # aws.amazon.com/lambda/pricing
    "Lambda GB-seconds": 0.0000133334,  # arm64, first tier
    "Step Functions transitions": 0.025 / 1000,  # aws.amazon.com/step-functions/pricing: standard workflows
    "API Gateway requests": 3.50 / 1e6,  # aws.amazon.com/api-gateway/pricing: REST
    "SQS requests": 0.40 / 1e6,  # aws.amazon.com/sqs/pricing: standard queues
}
"""Dollars for one of each."""
