"""Lambda functions, who may invoke them, and what feeds them."""

import functools
import io
import json
import threading
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Existing,
    Folder,
    Inputs,
    Made,
    again,
    gone_is_fine,
    if_there,
    known_keys,
    pascal,
    picked,
    plain,
    properties,
    retag,
)

_GONE = "ResourceNotFoundException"

_CONFIGURATION = (
    "role handler runtime description timeout memorySize environment deadLetterConfig loggingConfig "
    "tracingConfig ephemeralStorage kmsKeyArn"
)

_UNSAID: Final[Mapping[str, Any]] = {
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "DeadLetterConfig": {"TargetArn": ""},
    "TracingConfig": {"Mode": "PassThrough"},
    "EphemeralStorage": {"Size": 512},
    "KMSKeyArn": "",
}
"""AWS's defaults of what a function need not say."""

_LEFT_FOR_OTHERS: Final = 100
"""Executions at once that AWS wants to be left unreserved; of a smaller quota all of them."""

_uploading = threading.Lock()
_reserving = threading.Lock()


@functools.lru_cache(maxsize=4)
def _zipped(folder: Folder) -> bytes:
    """The folder as a zip; made once for the same contents, because both stacks take the same."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.path).as_posix())
    return buffer.getvalue()


def _deposit(aws: Aws) -> str:
    return f"local-deployment-{aws.account}-{aws.region}"


def _code(aws: Aws, name: str, folder: object) -> dict[str, str]:
    """Where the function's code is: in the deployer's own bucket, because many functions share a package."""
    if not isinstance(folder, Folder):
        raise DeploymentError(
            f"aws:lambda/function:Function {name!r}: code must be a FileArchive of a folder"
        )
    if not folder.path.is_dir():
        raise DeploymentError(
            f"aws:lambda/function:Function {name!r}: no folder {folder.path}: run `make build`"
        )
    bucket, key = _deposit(aws), f"{folder.path.name}-{folder.digest}.zip"
    with _uploading:
        s3 = aws.client("s3")
        if not _deposit_is_there(aws):
            place = (
                {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
                if aws.region != "us-east-1"
                else {}
            )
            s3.create_bucket(Bucket=bucket, **place)
        if key not in _deposited(aws):
            s3.put_object(Bucket=bucket, Key=key, Body=_zipped(folder))
    return {"S3Bucket": bucket, "S3Key": key}


def _deposit_is_there(aws: Aws) -> bool:
    return _deposit(aws) in [each["Name"] for each in aws.client("s3").list_buckets()["Buckets"]]


def _deposited(aws: Aws) -> list[str]:
    listed = aws.client("s3").list_objects_v2(Bucket=_deposit(aws))
    return [each["Key"] for each in listed.get("Contents", [])]


def remove_deposit(aws: Aws) -> None:
    """Remove the deployer's own bucket, which the program knows nothing of: functions keep their code."""
    if not _deposit_is_there(aws):
        return
    s3, bucket = aws.client("s3"), _deposit(aws)
    for key in _deposited(aws):
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


def _configuration(name: str, inputs: Inputs) -> dict[str, Any]:
    known_keys(name, inputs.get("environment") or {}, "variables")
    nested = {
        theirs: pascal(inputs[ours])
        for ours, theirs in (
            ("deadLetterConfig", "DeadLetterConfig"),
            ("loggingConfig", "LoggingConfig"),
            ("tracingConfig", "TracingConfig"),
            ("ephemeralStorage", "EphemeralStorage"),
        )
        if inputs.get(ours)
    }
    return {
        "Environment": {"Variables": (inputs.get("environment") or {}).get("variables") or {}},
        **picked(
            inputs,
            Role="role",
            Handler="handler",
            Runtime="runtime",
            Description="description",
            Timeout="timeout",
            MemorySize="memorySize",
            KMSKeyArn="kmsKeyArn",
        ),
        **nested,
    }


def _reserved(name: str, inputs: Inputs) -> int | None:
    """Return how many executions at once are to be reserved; -1 is the provider's value for none."""
    reserved = inputs.get("reservedConcurrentExecutions")
    if reserved is None or reserved == -1:
        return None
    if type(reserved) is not int or reserved < 0:
        raise DeploymentError(
            f"aws:lambda/function:Function {name!r}: reservedConcurrentExecutions is {reserved!r}: "
            "give a whole number from 0, or -1 for none"
        )
    return reserved


def _reserve(aws: Aws, name: str, function: str, reserved: int) -> None:
    """Reserve executions at once, as far as AWS would; the emulator takes any number.

    Raises DeploymentError with AWS's words where too few would be left.
    """
    functions = aws.client("lambda")
    with _reserving:
        limits = functions.get_account_settings()["AccountLimit"]
        before = functions.get_function_concurrency(FunctionName=function)
        left = (
            limits["UnreservedConcurrentExecutions"]
            + before.get("ReservedConcurrentExecutions", 0)
            - reserved
        )
        least = min(_LEFT_FOR_OTHERS, limits["ConcurrentExecutions"])
        if left < least:
            raise DeploymentError(
                f"aws:lambda/function:Function {name!r}: Specified ReservedConcurrentExecutions for function "
                "decreases account's UnreservedConcurrentExecution below its minimum value of "
                f"[{least}]: {limits['ConcurrentExecutions']} are the quota, {left} would be left"
            )
        functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=reserved)


def _function(aws: Aws, name: str, inputs: Inputs) -> Made:
    functions = aws.client("lambda")
    function = inputs.get("name") or name
    created = functions.create_function(
        FunctionName=function,
        Code=_code(aws, name, inputs.get("code")),
        Tags=inputs.get("tags") or {},
        **picked(inputs, Architectures="architectures"),
        **_configuration(name, inputs),
    )
    if (reserved := _reserved(name, inputs)) is not None:
        _reserve(aws, name, function, reserved)
    arn = created["FunctionArn"]
    invoke = f"functions/{arn}/invocations"
    return Made(
        function,
        {
            "name": function,
            "arn": arn,
            "invokeArn": f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/{invoke}",
            "qualifiedArn": f"{arn}:$LATEST",
            "version": "$LATEST",
        },
    )


def _read_function(aws: Aws, function: Existing) -> Existing | None:
    functions = aws.client("lambda")
    return if_there(function, lambda: functions.get_function_configuration(FunctionName=function.id), _GONE)


def _update_function(aws: Aws, function: Existing, inputs: Inputs) -> Made:
    functions, arn = aws.client("lambda"), function.outputs["arn"]

    def changed(names: str) -> bool:
        return any(plain(inputs.get(key)) != function.inputs.get(key) for key in names.split())

    if changed("code architectures"):
        functions.update_function_code(
            FunctionName=function.id,
            **_code(aws, function.name, inputs.get("code")),
            **picked(inputs, Architectures="architectures"),
        )
        functions.get_waiter("function_updated_v2").wait(FunctionName=function.id)
    if changed(_CONFIGURATION):
        # What is not said stays as it was: what left the program has to be said.
        functions.update_function_configuration(
            FunctionName=function.id,
            **{**_UNSAID, **_configuration(function.name, inputs)},
        )
        functions.get_waiter("function_updated_v2").wait(FunctionName=function.id)
    if changed("reservedConcurrentExecutions"):
        if (reserved := _reserved(function.name, inputs)) is None:
            functions.delete_function_concurrency(FunctionName=function.id)
        else:
            _reserve(aws, function.name, function.id, reserved)
    retag(
        function,
        inputs,
        tag=lambda tags: functions.tag_resource(Resource=arn, Tags=tags),
        untag=lambda keys: functions.untag_resource(Resource=arn, TagKeys=keys),
    )
    return function.unchanged


def _delete_function(aws: Aws, function: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("lambda").delete_function(FunctionName=function.id)


def _permission(aws: Aws, name: str, inputs: Inputs) -> Made:
    statement = inputs.get("statementId") or name
    aws.client("lambda").add_permission(
        FunctionName=inputs["function"],
        StatementId=statement,
        **picked(
            inputs,
            Action="action",
            Principal="principal",
            SourceArn="sourceArn",
            SourceAccount="sourceAccount",
            Qualifier="qualifier",
        ),
    )
    return Made(statement, {"statementId": statement})


def _read_permission(aws: Aws, permission: Existing) -> Existing | None:
    known_as = picked(permission.inputs, FunctionName="function", Qualifier="qualifier")

    def look() -> bool:
        policy = json.loads(aws.client("lambda").get_policy(**known_as)["Policy"])
        return any(statement["Sid"] == permission.id for statement in policy["Statement"])

    return if_there(permission, look, _GONE)


def _update_permission(aws: Aws, permission: Existing, inputs: Inputs) -> Made:
    """A statement cannot be changed; the provider replaces it under its name, which is the same to others."""
    _remove_permission(aws, permission)
    return _permission(aws, permission.name, inputs)


def _remove_permission(aws: Aws, permission: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("lambda").remove_permission(
            FunctionName=permission.inputs["function"],
            StatementId=permission.id,
            **picked(permission.inputs, Qualifier="qualifier"),
        )


def _event_source_settings(inputs: Inputs) -> dict[str, Any]:
    nested = {
        theirs: pascal(inputs[ours])
        for ours, theirs in (
            ("filterCriteria", "FilterCriteria"),
            ("scalingConfig", "ScalingConfig"),
            ("destinationConfig", "DestinationConfig"),
            ("metricsConfig", "MetricsConfig"),
        )
        if inputs.get(ours)
    }
    return {
        **picked(
            inputs,
            FunctionName="functionName",
            BatchSize="batchSize",
            MaximumBatchingWindowInSeconds="maximumBatchingWindowInSeconds",
            FunctionResponseTypes="functionResponseTypes",
            Enabled="enabled",
        ),
        **nested,
    }


def _event_source(aws: Aws, _name: str, inputs: Inputs) -> Made:
    mapping = aws.client("lambda").create_event_source_mapping(
        EventSourceArn=inputs["eventSourceArn"],
        Tags=inputs.get("tags") or {},
        **_event_source_settings(inputs),
    )
    return Made(mapping["UUID"], {"uuid": mapping["UUID"], "functionArn": mapping["FunctionArn"]})


def _read_event_source(aws: Aws, mapping: Existing) -> Existing | None:
    functions = aws.client("lambda")
    return if_there(mapping, lambda: functions.get_event_source_mapping(UUID=mapping.id), _GONE)


def _update_event_source(aws: Aws, mapping: Existing, inputs: Inputs) -> Made:
    aws.client("lambda").update_event_source_mapping(UUID=mapping.id, **_event_source_settings(inputs))
    return mapping.unchanged


def _delete_event_source(aws: Aws, mapping: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("lambda").delete_event_source_mapping(UUID=mapping.id)


def _invoke_config(aws: Aws, _name: str, inputs: Inputs) -> Made:
    destination = (
        {"DestinationConfig": pascal(inputs["destinationConfig"])} if inputs.get("destinationConfig") else {}
    )
    aws.client("lambda").put_function_event_invoke_config(
        **picked(
            inputs,
            FunctionName="functionName",
            Qualifier="qualifier",
            MaximumRetryAttempts="maximumRetryAttempts",
            MaximumEventAgeInSeconds="maximumEventAgeInSeconds",
        ),
        **destination,
    )
    return Made(inputs["functionName"])


def _read_invoke_config(aws: Aws, config: Existing) -> Existing | None:
    known_as = picked(config.inputs, FunctionName="functionName", Qualifier="qualifier")
    functions = aws.client("lambda")
    return if_there(config, lambda: functions.get_function_event_invoke_config(**known_as), _GONE)


def _delete_invoke_config(aws: Aws, config: Existing) -> None:
    with gone_is_fine(_GONE):
        aws.client("lambda").delete_function_event_invoke_config(
            FunctionName=config.id, **picked(config.inputs, Qualifier="qualifier")
        )


def _invocation(aws: Aws, name: str, inputs: Inputs) -> Made:
    answer = aws.client("lambda").invoke(
        **picked(inputs, FunctionName="functionName", Qualifier="qualifier", Payload="input")
    )
    result = answer["Payload"].read().decode()
    if "FunctionError" in answer:
        raise DeploymentError(f"aws:lambda/invocation:Invocation {name!r}: the function failed: {result}")
    return Made(f"{inputs['functionName']}_{inputs.get('qualifier', '$LATEST')}", {"result": result})


def _read_invocation(_aws: Aws, invocation: Existing) -> Existing:
    return invocation  # a call that was made stays made


def _forget_invocation(_aws: Aws, _invocation: Existing) -> None:
    """Nothing: what a function has done, the function's own resources keep."""


CREATORS = (
    Creator(
        token="aws:lambda/function:Function",
        create=_function,
        read=_read_function,
        properties=properties(
            "name role handler runtime code description timeout memorySize architectures environment "
            "deadLetterConfig loggingConfig tracingConfig ephemeralStorage kmsKeyArn "
            "reservedConcurrentExecutions tags"
        ),
        update=_update_function,
        updatable=properties(f"{_CONFIGURATION} code architectures reservedConcurrentExecutions tags"),
        delete=_delete_function,
        without_effect={
            "packageType": "zip is the only kind known here",
            "sourceCodeHash": "what is in the folder says itself when to upload again",
        },
    ),
    Creator(
        token="aws:lambda/permission:Permission",
        create=_permission,
        read=_read_permission,
        properties=properties("function statementId action principal sourceArn sourceAccount qualifier"),
        update=_update_permission,
        updatable=properties("action principal sourceArn sourceAccount"),
        delete=_remove_permission,
    ),
    Creator(
        token="aws:lambda/eventSourceMapping:EventSourceMapping",
        create=_event_source,
        read=_read_event_source,
        properties=properties(
            "functionName eventSourceArn batchSize maximumBatchingWindowInSeconds functionResponseTypes "
            "enabled "
            "filterCriteria scalingConfig destinationConfig metricsConfig tags"
        ),
        update=_update_event_source,
        updatable=properties(
            "functionName batchSize maximumBatchingWindowInSeconds functionResponseTypes enabled "
            "filterCriteria scalingConfig destinationConfig metricsConfig"
        ),
        delete=_delete_event_source,
    ),
    Creator(
        token="aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        create=_invoke_config,
        read=_read_invoke_config,
        properties=properties(
            "functionName qualifier maximumRetryAttempts maximumEventAgeInSeconds destinationConfig"
        ),
        update=again(_invoke_config),
        updatable=properties("maximumRetryAttempts maximumEventAgeInSeconds destinationConfig"),
        delete=_delete_invoke_config,
    ),
    Creator(
        token="aws:lambda/invocation:Invocation",
        create=_invocation,
        read=_read_invocation,
        properties=properties("functionName qualifier input triggers"),
        replacing=properties("functionName qualifier input triggers"),
        delete=_forget_invocation,
    ),
)
