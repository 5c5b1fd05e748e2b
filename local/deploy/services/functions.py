"""Lambda functions, who may invoke them, and what feeds them."""

import functools
import io
import threading
import zipfile

from local.deploy.creator import (
    Aws,
    Creator,
    DeploymentError,
    Folder,
    Inputs,
    Made,
    known_keys,
    pascal,
    picked,
    properties,
)

_uploading = threading.Lock()


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


def _function(aws: Aws, name: str, inputs: Inputs) -> Made:
    functions = aws.client("lambda")
    function = inputs.get("name") or name
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
    created = functions.create_function(
        FunctionName=function,
        Code=_code(aws, name, inputs.get("code")),
        Environment={"Variables": (inputs.get("environment") or {}).get("variables") or {}},
        Tags=inputs.get("tags") or {},
        **picked(
            inputs,
            Role="role",
            Handler="handler",
            Runtime="runtime",
            Description="description",
            Timeout="timeout",
            MemorySize="memorySize",
            Architectures="architectures",
            KMSKeyArn="kmsKeyArn",
        ),
        **nested,
    )
    if inputs.get("reservedConcurrentExecutions") is not None:
        functions.put_function_concurrency(
            FunctionName=function, ReservedConcurrentExecutions=inputs["reservedConcurrentExecutions"]
        )
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


def _event_source(aws: Aws, _name: str, inputs: Inputs) -> Made:
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
    mapping = aws.client("lambda").create_event_source_mapping(
        Tags=inputs.get("tags") or {},
        **picked(
            inputs,
            FunctionName="functionName",
            EventSourceArn="eventSourceArn",
            BatchSize="batchSize",
            MaximumBatchingWindowInSeconds="maximumBatchingWindowInSeconds",
            FunctionResponseTypes="functionResponseTypes",
            Enabled="enabled",
        ),
        **nested,
    )
    return Made(mapping["UUID"], {"uuid": mapping["UUID"], "functionArn": mapping["FunctionArn"]})


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


CREATORS = (
    Creator(
        token="aws:lambda/function:Function",
        create=_function,
        properties=properties(
            "name role handler runtime code description timeout memorySize architectures environment "
            "deadLetterConfig loggingConfig tracingConfig ephemeralStorage kmsKeyArn "
            "reservedConcurrentExecutions tags"
        ),
        without_effect={
            "packageType": "zip is the only kind known here",
            "sourceCodeHash": "it says when an update uploads again; here everything is made afresh",
        },
    ),
    Creator(
        token="aws:lambda/permission:Permission",
        create=_permission,
        properties=properties("function statementId action principal sourceArn sourceAccount qualifier"),
    ),
    Creator(
        token="aws:lambda/eventSourceMapping:EventSourceMapping",
        create=_event_source,
        properties=properties(
            "functionName eventSourceArn batchSize maximumBatchingWindowInSeconds functionResponseTypes "
            "enabled "
            "filterCriteria scalingConfig destinationConfig metricsConfig tags"
        ),
    ),
    Creator(
        token="aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        create=_invoke_config,
        properties=properties(
            "functionName qualifier maximumRetryAttempts maximumEventAgeInSeconds destinationConfig"
        ),
    ),
)
