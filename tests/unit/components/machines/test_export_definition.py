import json

from components.machines.export import export_definition

from ..programs import Deployment
from .states import following, reachable

DEFINITION = export_definition("arn:export")


def test_every_state_can_be_reached_and_goes_on_or_ends() -> None:
    assert reachable(DEFINITION) == set(DEFINITION["States"])
    for name, state in DEFINITION["States"].items():
        assert (state["Type"] in {"Succeed", "Fail"}) != bool(list(following(state))), name


def test_whatever_fails_the_lock_is_given_back() -> None:
    catches = DEFINITION["States"]["Export"]["Catch"]
    # An answer that is too large is none of "all" (Step Functions Developer Guide, "Handling errors").
    assert [each["ErrorEquals"] for each in catches] == [["States.DataLimitExceeded"], ["States.ALL"]]
    assert {each["Next"] for each in catches} == {"GiveUp"}
    assert DEFINITION["States"]["GiveUp"]["Parameters"]["FunctionName"] == "arn:export"


def test_it_is_about_ids_only(deployment: Deployment) -> None:
    for state in DEFINITION["States"].values():
        if state["Type"] == "Task":
            payload = set(state["Parameters"]["Payload"])
            assert payload <= {"customer.$", "export_id.$", "execution.$", "error.$"}
    (made,) = [
        m for m in deployment.of("aws:sfn/stateMachine:StateMachine") if m.inputs["name"].endswith("-export")
    ]
    function = f"arn:mock:Function:{deployment.prefix}-export-vault"
    assert json.loads(made.inputs["definition"]) == export_definition(function)
    assert made.inputs["loggingConfiguration"]["includeExecutionData"] is False
