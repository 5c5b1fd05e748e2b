"""What a region calls by itself, how often, and under which role."""

import pytest

from components.schedules.catalogue import RECURRING_CALLS

from ..programs import ACCOUNT, Deployment


@pytest.mark.parametrize(
    ("call", "function", "rate"),
    [("sweep", "sweep-runs", "rate(5 minutes)"), ("watch", "watch-contracts", "rate(1 hour)")],
)
def test_the_sweep_is_called_every_five_minutes_and_the_watch_every_hour(
    deployment: Deployment, call: str, function: str, rate: str
) -> None:
    schedule = deployment.named("aws:scheduler/schedule:Schedule", f"{deployment.prefix}-{function}")
    assert schedule.inputs["scheduleExpression"] == RECURRING_CALLS[call].rate == rate
    assert schedule.inputs["flexibleTimeWindow"] == {"mode": "OFF"}
    target = schedule.inputs["target"]
    assert target["arn"] == f"arn:mock:Function:{deployment.prefix}-{function}"
    assert target["roleArn"] == f"arn:mock:Role:{deployment.prefix}-{call}-schedule"
    assert target["deadLetterConfig"] == {"arn": f"arn:mock:Queue:{deployment.prefix}-dead-letters"}
    assert deployment.rights(f"{deployment.prefix}-{call}-schedule")["lambda:InvokeFunction"] == [
        f"arn:aws:lambda:{deployment.region}:{ACCOUNT}:function:{deployment.prefix}-{function}"
    ]
