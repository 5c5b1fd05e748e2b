"""The emulator's process: it is ours alone, and nothing of it stays behind."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from local.emulator.emulator import ROOT, Emulator
from local.errors import LocalError
from tests.unit.local.support import alive, trusting


def wait_for(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def made_role(emulator: Emulator, service: str) -> str:
    role = emulator.client("iam", "eu-west-1").create_role(
        RoleName=service, AssumeRolePolicyDocument=trusting(service)
    )
    return str(role["Role"]["Arn"])


def test_it_listens_on_the_loopback_interface_only(emulator: Emulator) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with socket.socket() as elsewhere:
        # 127.0.0.2 is the same machine, and another address than the one it is bound to.
        assert elsewhere.connect_ex(("127.0.0.2", port)) != 0
    assert emulator.client("sts", "eu-west-1").get_caller_identity()["Account"] == "111122223333"


def test_it_ends_with_an_exception(worker_id: str) -> None:
    groups = []

    def fail() -> None:
        with Emulator(name=f"exception-{worker_id}") as running:
            groups.append(running.pid)
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert groups
    assert not alive(groups[0])


def test_it_ends_with_a_parent_that_is_killed(worker_id: str) -> None:
    program = f"""
import time
from local.emulator.emulator import Emulator
with Emulator(name="killed-{worker_id}") as running:
    print(running.pid, running.authority.parent, flush=True)
    time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    with parent.stdout:
        pid, directory = parent.stdout.readline().split()
    group = int(pid)
    assert alive(group)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert wait_for(lambda: not alive(group))
    assert not Path(directory).exists()


def test_a_trail_is_only_there_when_asked_for(emulator: Emulator) -> None:
    with pytest.raises(LocalError, match="record_trail=True"):
        next(emulator.decisions())


def test_state_machines_wait_the_part_of_their_time_that_was_asked_for(worker_id: str) -> None:
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 60, "MaxAttempts": 1}
    failing = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "none"},
    }
    states = {
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Try"},
        "Try": {**failing, "Retry": [retry], "End": True},
    }
    definition = json.dumps({"StartAt": "Wait", "States": states})
    with Emulator(name=f"waits-{worker_id}", waits=0.001) as running:
        machines = running.client("stepfunctions", "eu-west-1")
        role = made_role(running, "states.amazonaws.com")
        machine = machines.create_state_machine(name="m", definition=definition, roleArn=role)[
            "stateMachineArn"
        ]
        execution = machines.start_execution(stateMachineArn=machine)["executionArn"]

        def status() -> str:
            return str(machines.describe_execution(executionArn=execution)["status"])

        assert wait_for(lambda: status() == "FAILED", 30)
        assert machines.describe_state_machine(stateMachineArn=machine)["definition"] == definition


WHERE = """
import os

def handler(event, context):
    return [os.path.realpath(__file__), TEXT]
"""


def test_functions_of_one_package_read_the_same_files(emulator: Emulator) -> None:
    functions = emulator.client("lambda", "eu-west-1")
    role = made_role(emulator, "lambda.amazonaws.com")

    def made(name: str, text: str) -> list[str]:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("where.py", WHERE.replace("TEXT", repr(text)))
        functions.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="where.handler",
            Role=role,
            Code={"ZipFile": package.getvalue()},
        )
        answer: list[str] = json.loads(functions.invoke(FunctionName=name)["Payload"].read())
        return answer

    one, same, other = made("one", "a"), made("same", "a"), made("other", "b")
    assert one == same
    assert (one[1], other[1]) == ("a", "b")
    assert other[0] != one[0]


def test_a_step_for_which_lambda_has_no_room_fails_under_the_name_that_aws_gives_it(worker_id: str) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("where.py", "def handler(event, context): raise ValueError(event)")
    with Emulator(name=f"room-{worker_id}", concurrency=200) as running:
        functions, machines = (running.client(name, "eu-west-1") for name in ("lambda", "stepfunctions"))
        assert functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 200
        functions.create_function(
            FunctionName="full",
            Runtime="python3.13",
            Handler="where.handler",
            Role=made_role(running, "lambda.amazonaws.com"),
            Code={"ZipFile": package.getvalue()},
        )
        call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
        call["Parameters"] = {"FunctionName": "full", "Payload": {}}
        machine = machines.create_state_machine(
            name="calls",
            definition=json.dumps({"StartAt": "Call", "States": {"Call": call}}),
            roleArn=made_role(running, "states.amazonaws.com"),
        )["stateMachineArn"]

        def error() -> str:
            execution = machines.start_execution(stateMachineArn=machine)["executionArn"]
            assert wait_for(
                lambda: machines.describe_execution(executionArn=execution)["status"] == "FAILED", 30
            )
            return str(machines.describe_execution(executionArn=execution)["error"])

        assert error() != "Lambda.TooManyRequestsException"
        functions.put_function_concurrency(FunctionName="full", ReservedConcurrentExecutions=0)
        assert error() == "Lambda.TooManyRequestsException"


def test_credentials_that_others_get_meanwhile_fail_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from ministack.services import sts

    from local.emulator import process

    left = [RuntimeError("dictionary changed size during iteration")] * 2

    def evict() -> None:
        if left:
            raise left.pop()

    monkeypatch.setattr(sts, "_evict_expired_sessions", evict)
    process._look_through_sessions_again()
    sts.register_session("ASIATEST", {"Arn": "a", "UserId": "u"})
    assert not left
    assert sts._sessions.pop("ASIATEST")["Arn"] == "a"
