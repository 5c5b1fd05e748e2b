"""The state machine of an export in Amazon States Language, as a pure function.

Inputs and outputs hold a customer's and an export's id, and for how long to wait.
"""

from .language import RUN_SECONDS, State, catch, step


def export_definition(export: str) -> State:
    """Return the state machine: one function, called again until all is written; first it waits for a run.

    Whatever fails for good, the function is called once more, to give the customer's lock back.
    """
    ids = {"customer.$": "$.customer", "export_id.$": "$.export_id"}
    return {
        "Comment": "Writes down everything that one customer has sent.",
        "TimeoutSeconds": RUN_SECONDS,
        "StartAt": "Export",
        "States": {
            "Export": step(
                export,
                {**ids, "execution.$": "$$.Execution.Id"},
                OutputPath="$.Payload",
                Next="HowFar",
                Catch=catch("GiveUp"),
            ),
            "HowFar": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.next", "StringEquals": "done", "Next": "Exported"},
                    {"Variable": "$.next", "StringEquals": "wait", "Next": "WaitForRun"},
                ],
                "Default": "Export",
            },
            "WaitForRun": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Export"},
            "Exported": {"Type": "Succeed"},
            "GiveUp": step(
                export,
                {**ids, "error.$": "$.failure.Error"},
                ResultPath=None,
                Next="Failed",
                Catch=catch("Failed"),
            ),
            "Failed": {"Type": "Fail", "Error": "ExportFailed", "Cause": "The export failed for good."},
        },
    }
