"""What may go wrong at an endpoint, and which of it an error that it states is, wherever the error stands.

Gateways answer with status 200 and an error in the body, in a choice, or in a line of a batch. What they have in common
is little: a code that is a status, a code or a type that is a name, or nothing but words.
"""

from __future__ import annotations

import re
from typing import Any


class Again(Exception):
    """Worth another try: after `wait` seconds if the endpoint says so. `busy`: it is there, but limits our rate.
    `lost`: it may have worked on the request all the same. `down`: it is not even there."""

    def __init__(
        self, reason: str, wait: float | None = None, busy: bool = False, lost: bool = False, down: bool = False
    ) -> None:
        super().__init__(reason)
        self.wait, self.busy, self.lost, self.down = wait, busy, lost, down


class Refused(Exception):
    """This request will never be answered; others may be. `status` and `message` are the endpoint's, if it said so.
    `lost`: it may be billed all the same."""

    def __init__(self, reason: str, status: int | None = None, message: str = "", lost: bool = False) -> None:
        super().__init__(reason)
        self.status, self.message, self.lost = status, message, lost


class Stop(Exception):
    """Nothing more can be sent; one sentence with the mend."""


class Forbidden(Stop):
    """A key that may not do this; where others were answered, a gateway that will not have this one request."""


class Unknown(Stop):
    """The endpoint does not know what was asked for: the model, the path, or a batch."""


# Names of errors, without their punctuation, by the status that they are sent with elsewhere. The first are no use to
# send again under any status.
FATAL_NAMES = {
    **dict.fromkeys(("invalidapikey", "authenticationerror", "unauthenticated", "unauthorized", "invalidauth"), 401),
    **dict.fromkeys(("insufficientquota", "billinghardlimitreached", "billingnotactive", "paymentrequired"), 402),
    **dict.fromkeys(("insufficientbalance", "insufficientcredits", "insufficientfunds"), 402),
    **dict.fromkeys(("modelnotfound", "modelnotexist", "unknownmodel", "invalidmodel", "deploymentnotfound"), 404),
}
ERROR_NAMES = FATAL_NAMES | {
    **dict.fromkeys(("permissiondenied", "permissionerror", "permissiondeniederror", "forbidden"), 403),
    **dict.fromkeys(("notfound", "notfounderror"), 404),
    **dict.fromkeys(("ratelimitexceeded", "ratelimiterror", "toomanyrequests", "resourceexhausted"), 429),
    **dict.fromkeys(("invalidrequesterror", "invalidrequest", "badrequest", "badrequesterror"), 400),
    **dict.fromkeys(("invalidargument", "contextlengthexceeded", "unprocessableentity"), 400),
}
# What is said where nothing has a name.
ERROR_WORDS = {
    401: r"\bapi[ _-]?key\b|auth\w* credentials|unauthori[sz]ed|unauthenticated|authentication (error|failed|required)",
    402: r"(insufficient|not enough|out of|no) (account )?(credit|balance|funds|quota)|exceeded your current quota",
    404: r"\bmodel\b.{0,100}\b(not found|not exist)|\b(unknown|no such|invalid) model\b",
}


def stated(node: Any) -> Any:
    """The error that a body, a choice, a message or a line of a batch states, in its own form; None if it states
    none."""
    if not isinstance(node, dict):
        return None
    if node.get("object") == "error" or node.get("type") == "error":
        return node.get("error") or node
    found = node.get("error") or node.get("errors") or None
    found = found[0] if isinstance(found, list) else found
    return None if isinstance(found, dict) and not any(found.values()) else found


def worded(body: Any) -> Any:
    """The error that a body without an answer is, if it has words of any other kind; None if it has not."""
    words = ("message", "msg", "detail", "status_msg")
    return body if isinstance(body, dict) and any(body.get(word) for word in words) else None


def status_of(error: Any) -> int:
    """The status that the error would have been sent with; 500, which may pass, where nothing says which."""
    if isinstance(error, dict):
        for name in ("code", "status", "status_code", "statusCode", "http_status"):
            if re.fullmatch(r"[45]\d\d", str(error.get(name))):
                return int(error[name])
    for name in _names(error):
        if name in ERROR_NAMES:
            return ERROR_NAMES[name]
    words = message_of(error)
    return next((status for status, said in ERROR_WORDS.items() if re.search(said, words, re.IGNORECASE)), 500)


def fatal(error: Any) -> int | None:
    """The status of an error whose name says that nothing else can be sent either, whatever it was sent with."""
    return next((FATAL_NAMES[name] for name in _names(error) if name in FATAL_NAMES), None)


def message_of(error: Any) -> str:
    """The endpoint's own words; a gateway's are followed by those of the provider behind it."""
    if not isinstance(error, dict):
        return str(error or "")
    own = next((str(error[name]) for name in ("message", "msg", "detail", "status_msg") if error.get(name)), "")
    metadata = error.get("metadata")
    behind = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{own}: {behind}" if own and isinstance(behind, str) and behind else own or str(error or "")


def _names(error: Any) -> list[str]:
    """What the error calls itself, the most precise first."""
    if not isinstance(error, dict):
        return []
    given = [error.get(name) for name in ("code", "type", "status")]
    return [re.sub(r"[\W_]", "", name).lower() for name in given if isinstance(name, str)]
