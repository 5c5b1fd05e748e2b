"""What the gateway has to know of `openapi.yaml`, the one list of routes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "lambdas" / "privacy" / "api" / "openapi.yaml"

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
_PLACES: Final = {"path": "path", "query": "querystring", "header": "header"}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path, and the function that serves it."""

    path: str
    method: str
    function: str
    secured: bool
    has_body: bool
    parameters: Mapping[str, bool]
    """API Gateway's name of each parameter, and whether a request must have it."""

    @property
    def permission_path(self) -> str:
        """The path as Lambda permissions name it: any value for each parameter."""
        return "/".join("*" if part.startswith("{") else part for part in self.path.split("/"))


@dataclass(frozen=True, kw_only=True)
class Routes:
    """All operations, and all scopes that tokens may carry."""

    operations: tuple[Operation, ...]
    scopes: Mapping[str, str]
    """Scope → its description."""

    @property
    def methods(self) -> Mapping[str, tuple[str, ...]]:
        """Methods of each path."""
        paths: dict[str, list[str]] = {}
        for operation in self.operations:
            paths.setdefault(operation.path, []).append(operation.method)
        return {path: tuple(sorted(methods)) for path, methods in paths.items()}


@cache
def routes(document: Path = DOCUMENT) -> Routes:
    """Read the routes.

    Raises KeyError where an operation does not say by `x-function` who serves it.
    """
    content = yaml.safe_load(document.read_text(encoding="utf-8"))
    schemes = content["components"]["securitySchemes"].values()
    scopes: dict[str, str] = {}
    for scheme in schemes:
        for flow in scheme.get("flows", {}).values():
            scopes |= flow["scopes"]
    return Routes(operations=tuple(_operations(content)), scopes=scopes)


def _operations(content: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in content["paths"].items():
        for method in _METHODS:
            if method not in item:
                continue
            operation = item[method]
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            yield Operation(
                path=path,
                method=method.upper(),
                function=operation["x-function"],
                secured=bool(operation.get("security", content.get("security"))),
                has_body="requestBody" in operation,
                parameters=dict(_parameter(content, parameter) for parameter in parameters),
            )


def _parameter(content: Mapping[str, Any], parameter: Mapping[str, Any]) -> tuple[str, bool]:
    if "$ref" in parameter:
        target: Any = content
        for step in parameter["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        parameter = target
    name = f"method.request.{_PLACES[parameter['in']]}.{parameter['name']}"
    return name, bool(parameter.get("required", False))
