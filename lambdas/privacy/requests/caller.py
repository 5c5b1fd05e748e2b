"""Who asked: the program, the person who used it, and the call. Ids, and nothing else about anybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Caller:
    """A call's OAuth2 client, the person who used it (None where a program acts by itself), the call's id.

    `call_id` is API Gateway's request id: the access log has it, problem details have it as `instance`.
    """

    client_id: str
    call_id: str
    person_id: str | None = None

    @classmethod
    def of_claims(cls, claims: Mapping[str, str], call_id: str) -> Self:
        """Return who calls, from the claims of a verified access token.

        Cognito gives `username` to people's tokens only; a program's `sub` is its client id once more.
        """
        return cls(claims["client_id"], call_id, claims["sub"] if "username" in claims else None)

    def __str__(self) -> str:
        """Return what a log line has of it."""
        return f"client={self.client_id} person={self.person_id or '-'} call={self.call_id}"
