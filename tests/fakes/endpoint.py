"""A local HTTP server that speaks OpenAI's Chat Completions, Embeddings, Files and Batches, with scripted faults.

    with Endpoint(faults=lambda body, nth: "429" if nth == 0 else None) as endpoint:
        client = openai.AsyncOpenAI(base_url=endpoint.url, api_key="any")

or, as a program: `python -m tests.fakes.endpoint --port 8765 --latency 0.1`. Answers depend on the request's body
alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email.utils
import functools
import gzip
import hashlib
import json
import math
import random
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.writer import text_of, write, write_in_another

CREATED = 1_750_000_000
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"

# Faults that a provider bills: a complete answer of status 200, of whatever use its content is.
CONTENT_FAULTS = (
    *("length", "truncated", "invalid", "schema", "refusal", "filtered"),
    *("wrong-language", "no-usage", "text-usage", "odd-usage", "fences", "prose", "think", "draft"),
    *("think-cut", "draft-cut", "misplaced", "thought", "echo", "echo-refusal"),
)
# name: status, headers, type, code, message
ERRORS: dict[str, tuple[int, dict[str, str], str, str | None, str]] = {
    "429": (429, {"Retry-After": "1"}, "requests", "rate_limit_exceeded", "Rate limit reached. Try again in 1s."),
    "429-date": (429, {}, "requests", "rate_limit_exceeded", "Rate limit reached. Try again later."),
    "429-quota": (429, {}, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "500": (500, {}, "server_error", None, "The server had an error while processing your request."),
    "503-retry-after": (503, {"retry-after-ms": "300"}, "server_error", None, "The engine is overloaded."),
    "401": (401, {}, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: {key}."),
    "403": (403, {}, "invalid_request_error", None, "You are not allowed to use this model."),
    "404": (404, {}, "invalid_request_error", "model_not_found", "The model `{model}` does not exist."),
    "400": (400, {}, "invalid_request_error", None, "Invalid value for 'messages'."),
    "400-schema": (400, {}, "invalid_request_error", None, "response_format.type json_schema is not supported"),
    "400-format": (400, {}, "invalid_request_error", None, "response_format is not supported"),
}
# The same in an answer of status 200.
WITHIN = tuple(f"200-{name}" for name in ERRORS)
# Faults of the connection or of the whole body; in a batch, where there is no connection, they are a 500.
BROKEN = ("hang", "reset", "cut", "not-json", "endless", "trickle", "bomb", "deep")
# Faults of a choice: an error in it, or an end that is none.
BROKEN_OFF = ("choice-error", "broken-off")
FAULTS = (*ERRORS, *WITHIN, *BROKEN, *BROKEN_OFF, "empty-choices", "expired", *CONTENT_FAULTS)

ENDS = ("completed", "expired", "failed", "cancelled")
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
REASONS |= {429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable"}


# What a model thinks of before it answers, in the form of an answer.
DRAFT = '{"queries": ["draft"]}'


def canonical(body: dict) -> str:
    """A body as JSON that does not depend on the order of its keys."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# ── Replies ───────────────────────────────────────────────────────────────────────────────────────────────────


def _asks(body: object) -> bool:
    """Whether `body` is a chat request."""
    return isinstance(body, dict) and isinstance(body.get("messages"), list) and isinstance(body.get("model"), str)


def _embeds(body: object) -> bool:
    """Whether `body` is a request for embeddings."""
    return isinstance(body, dict) and isinstance(body.get("input"), list) and isinstance(body.get("model"), str)


def embed(body: dict) -> list[list[float]]:
    """A vector for each text, of the dimension asked for or of 8: numbers of -1 to 1 that its bytes alone decide."""
    return [_vector(text, body.get("dimensions", 8)) for text in body["input"]]


def _vector(text: str, dimension: int) -> list[float]:
    return [random.Random(f"{text} {i}").uniform(-1, 1) for i in range(dimension)]


def embeddings(body: dict, vectors: list[list[float]]) -> dict:
    """A list of embeddings, not in the order of the texts: four bytes a token."""
    count = sum(_tokens(text) for text in body["input"])
    rows = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}


def _tokens(text: str) -> int:
    return math.ceil(len(text.encode()) / 4)


def completion(body: dict, content: str | None, finish: str = "stop", refusal: str | None = None) -> dict:
    """A chat.completion: four bytes a token."""
    asked = sum(len(text_of(m.get("content")).encode()) for m in body["messages"])
    sent, received = math.ceil(asked / 4), _tokens(content or refusal or "")
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return {
        "id": "chatcmpl-" + hashlib.sha256(canonical(body).encode()).hexdigest()[:24],
        "object": "chat.completion",
        "created": CREATED,
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
    }


def _bills(fault: str | None) -> bool:
    """Whether an answer of status 200 is one that a provider bills."""
    return fault is None or fault in CONTENT_FAULTS


def _dressed(body: dict, content: str, fault: str | None, key: str) -> dict:
    """The completion with a good answer's `content`, or with what a content fault makes of it."""
    good = content
    match fault:
        case "length":
            return completion(body, content[: len(content) // 2], "length")
        case "truncated":
            content = content[: len(content) // 2]
        case "invalid":
            content = "Sure! I'd be happy to help."
        case "schema":
            content = '{"wrong": 1}'
        case "refusal":
            return completion(body, None, refusal="I can't help with that.")
        case "filtered":
            return completion(body, None, "content_filter")
        case "wrong-language":
            content = write_in_another(body)
        case "fences":
            content = f"Here is the JSON you asked for:\n\n```json\n{content}\n```\n\nTell me if you need more."
        case "prose":
            content = f"Here {{as asked}}: {content}"
        case "think":
            content = f"<think>\nA first try: {DRAFT}\n</think>\n\n{content}"
        case "draft":
            content = f"Draft: {DRAFT}\nFinal answer: {content}"
        case "think-cut":
            return completion(body, f"<think>Maybe {DRAFT} but these are bad", "length")
        case "draft-cut":
            return completion(body, f"Draft: {DRAFT}\nFinal answer: {content[: len(content) // 2]}", "length")
        case "misplaced" | "thought":
            content = None
        case "echo":
            texts = {name: [f"{text} {key}" for text in some] for name, some in json.loads(content).items()}
            content = json.dumps(texts, ensure_ascii=False)
        case "echo-refusal":
            return completion(body, None, refusal=f"I will not help {key}.")
    answer = completion(body, content)
    if fault == "no-usage":
        del answer["usage"]
    if fault == "text-usage":
        answer["usage"] = {name: str(count) for name, count in answer["usage"].items()}
    if fault == "odd-usage":
        answer["usage"] = {"prompt_tokens": -1, "completion_tokens": 10**30, "total_tokens": ["many"]}
    if fault == "empty-choices":
        answer["choices"] = []
    (choice,) = answer["choices"] or [{}]
    if fault == "misplaced":
        choice["message"]["reasoning_content"] = good
    if fault == "thought":
        choice["message"]["reasoning_content"], choice["finish_reason"] = f"Maybe {DRAFT} or", "length"
    if fault in BROKEN_OFF:
        choice["finish_reason"] = "error"
        choice["message"]["content"] = good[: len(good) // 2]
    if fault == "choice-error":
        choice["error"] = {"code": 502, "message": "Provider returned error", "metadata": {"raw": f"no power, {key}"}}
    return answer


# ── HTTP ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Request:
    """A request as it came, and how it was answered."""

    at: float  # time.monotonic() at arrival
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: dict | None  # of JSON requests
    fault: str | None = None
    answered: bool = False  # whether a complete chat completion of status 200 was sent, while the client was there
    raw: bytes = field(default=b"", repr=False)  # of other requests, until they are handled
    query: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def keys(self) -> list[str]:
        """The API keys that were sent, as OpenAI and as Azure ask for them."""
        kind, _, key = self.headers.get("authorization", "").partition(" ")
        return [k for k in (key if kind == "Bearer" else "", self.headers.get("api-key", "")) if k]


class Refused(Exception):
    """An error answer: status and message."""


async def _receive(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    at = time.monotonic()
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        raw = await _chunks(reader)
    else:
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    request = Request(at, method, path, headers, None, raw=raw, query=dict(urllib.parse.parse_qsl(query)))
    if raw and headers.get("content-type", "").startswith("application/json"):
        with contextlib.suppress(ValueError):
            body = json.loads(raw)
            request.body = body if isinstance(body, dict) else None
        request.raw = b""
    return request


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        found.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(found)


def _head(status: int, size: int, kind: str = "application/json", headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}", f"Content-Type: {kind}", f"Content-Length: {size}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _form(request: Request) -> dict[str, tuple[str, bytes]]:
    """The parts of multipart/form-data: name -> (file name, content)."""
    boundary = re.search(r'boundary="?([^";]+)', request.headers.get("content-type", ""))
    parts = {}
    for part in (b"\r\n" + request.raw).split(b"\r\n--" + boundary[1].encode())[1:-1] if boundary else []:
        head, _, content = part.partition(b"\r\n\r\n")
        named = dict(re.findall(r'\b(name|filename)="([^"]*)"', head.decode()))
        parts[named.get("name", "")] = (named.get("filename", ""), content)
    return parts


def _error(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# ── Batches ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Job:
    """What a batch object does not show."""

    lines: list[tuple[str, dict, int]]  # custom_id, body, how often the body had come before
    errors: list[dict]
    end: str
    polled: int = 0


def _lines(content: bytes, endpoint: str) -> tuple[list[tuple[str, dict]], list[dict]]:
    """A batch's requests, and the errors for which OpenAI would refuse it as a whole."""
    lines, errors, seen = [], [], set()
    for number, line in enumerate(content.decode().splitlines(), 1):
        try:
            row = json.loads(line)
            name, body, method, url = row["custom_id"], row["body"], row["method"], row["url"]
        except (ValueError, KeyError, TypeError):
            errors.append({"code": "invalid_json_line", "message": "This line is no batch request.", "line": number})
            continue
        if name in seen:
            errors.append({"code": "duplicate_custom_id", "message": f"{name!r} is not unique.", "line": number})
        if (method, url) != ("POST", endpoint):
            errors.append({"code": "invalid_url", "message": f"{method} {url} is not {endpoint}.", "line": number})
        seen.add(name)
        lines.append((name, body))
    if not lines and not errors:
        errors.append({"code": "empty_file", "message": "The input file is empty.", "line": None})
    return lines, errors


@functools.cache
def bomb() -> bytes:
    """32 MiB of blanks, packed."""
    return gzip.compress(b" " * (32 << 20))


# ── The server ────────────────────────────────────────────────────────────────────────────────────────────────


class Endpoint:
    """The server, in a thread of its own for as long as the `with` block runs; `url` is its base URL.

    `key`: the API key to ask for; None asks for none.
    `latency`: seconds that each answer to a chat request takes.
    `faults`: (body, nth) -> a name of FAULTS, or None for a good answer; nth counts from 0 how often this body came.
    `writer`: body -> the content of a good answer; `embedder`: body -> the vectors of one for embeddings.
    `polls`: how many retrievals show a batch unfinished (listing is none): one more shows its end.
    `batch_end`: how a batch ends, of ENDS, or a list of them, one for each batch; those after it are completed.
    `log`: False keeps no requests, for long runs; `stats` counts on.

    `faults` and `writer` run in the server's thread; what they raise is raised again when the block ends.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        latency: float = 0,
        faults: Callable[[dict, int], str | None] | None = None,
        writer: Callable[[dict], str] = write,
        embedder: Callable[[dict], list[list[float]]] = embed,
        polls: int = 2,
        batch_end: str | list[str] = "completed",
        port: int = 0,
        log: bool = True,
    ):
        ends = [batch_end] if isinstance(batch_end, str) else batch_end
        if unknown := set(ends) - set(ENDS):
            raise ValueError(f"batch_end {unknown} is none of {ENDS}")
        self.key = key
        self.latency = latency
        self.faults = faults
        self.writer = writer
        self.embedder = embedder
        self.polls = polls
        self.port = port
        self.log = log
        self.batches: dict[str, dict] = {}
        self._last_end = batch_end if isinstance(batch_end, str) else "completed"
        self._ends = iter([] if isinstance(batch_end, str) else batch_end)
        self._jobs: dict[str, Job] = {}
        self._files: dict[str, tuple[dict, bytes]] = {}
        self._came: Counter[str] = Counter()
        self._handling = 0
        self._failure: Exception | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the requests, the answers and `most`; files, batches and the counts behind `nth` stay."""
        self.requests: list[Request] = []
        self.most = self._handling  # the highest number of chat requests being handled at once
        self._batched: list[str] = []  # the billed bodies of batches
        self._seen = self._billed = 0

    def answers(self) -> Counter[str]:
        """How many complete answers that a provider would bill were sent to each body (canonical JSON)."""
        chat = [r for r in list(self.requests) if r.answered and _bills(r.fault)]
        return Counter([canonical(r.body) for r in chat] + list(self._batched))

    def stats(self) -> dict[str, int]:
        """All requests, billed answers, `most`: what GET /stats answers."""
        return {"requests": self._seen, "answered": self._billed, "most": self.most}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    # The thread.

    def __enter__(self) -> Endpoint:
        self._started = threading.Event()
        self._refusal: OSError | None = None
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), name="endpoint", daemon=True)
        self._thread.start()
        self._started.wait()
        if self._refusal:
            raise self._refusal
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure:
            raise RuntimeError("the endpoint could not answer a request") from self._failure

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=1 << 20, backlog=1024)
        except OSError as error:
            self._refusal = error
            self._started.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            stays = True
            while stays:
                request = await _receive(reader)
                if request.path == "/stats":
                    self._send(writer, 200, self.stats())
                    continue
                self._seen += 1
                if self.log:
                    self.requests.append(request)
                stays = await self._respond(request, reader, writer)
                await writer.drain()
                stays = stays and request.headers.get("connection", "").lower() != "close"
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        except asyncio.CancelledError:
            writer.transport.abort()  # the server stops
        finally:
            writer.close()

    async def _respond(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer; whether the connection stays open."""
        try:
            if self.key is not None and self.key not in request.keys:
                self._send(writer, 401, _error("Incorrect API key provided.", code="invalid_api_key"))
            elif request.method == "POST" and request.path in (CHAT, EMBEDDINGS):
                return await self._chat(request, reader, writer)
            else:
                found = self._route(request)
                kind = "application/octet-stream" if isinstance(found, bytes) else "application/json"
                self._send(writer, 200, found, kind)
        except Refused as error:
            status, message = error.args
            self._send(writer, status, _error(message))
        except ConnectionError:
            raise
        except Exception as error:
            self._failure = self._failure or error
            self._send(writer, 500, _error(f"{type(error).__name__}: {error}", "server_error"))
        return True

    @staticmethod
    def _send(
        writer: asyncio.StreamWriter,
        status: int,
        payload: dict | bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
        writer.write(_head(status, len(data), kind, headers) + data)

    # Chat.

    def _nth(self, body: dict) -> int:
        if self.faults is None:
            return 0  # nobody asks, and a long run would fill the memory
        text = canonical(body)
        self._came[text] += 1
        return self._came[text] - 1

    def _fault(self, body: dict, nth: int) -> str | None:
        """The fault that `body` meets; None where a fault has nothing to refuse."""
        fault = self.faults(body, nth) if self.faults else None
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"{fault!r} is no fault: {', '.join(FAULTS)}")
        asked = body.get("response_format")
        if (fault == "400-format" and not asked) or (
            fault == "400-schema" and (asked or {}).get("type") != "json_schema"
        ):
            return None
        return fault

    def _answer(self, body: dict, fault: str | None, key: str) -> tuple[int, dict[str, str], dict]:
        """Status, headers and payload under `fault`."""
        if fault in WITHIN:
            status, _, error = self._answer(body, fault.removeprefix("200-"), key)
            error["error"]["code"] = error["error"]["code"] or status
            return 200, {}, error
        if fault not in ERRORS:
            if _embeds(body):
                return 200, {}, embeddings(body, self.embedder(body))
            return 200, {}, _dressed(body, self.writer(body), fault, key)
        status, headers, kind, code, message = ERRORS[fault]
        if fault == "429-date":
            headers = {"Retry-After": email.utils.formatdate(time.time() + 2, usegmt=True)}
        return status, headers, _error(message.format(key=key, model=body.get("model")), kind, code)

    async def _chat(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = request.body
        if not (_embeds if request.path == EMBEDDINGS else _asks)(body):
            raise Refused(400, "a request is a JSON object with 'model' and 'messages', or with 'model' and 'input'")
        self._handling += 1
        self.most = max(self.most, self._handling)
        try:
            fault = request.fault = self._fault(body, self._nth(body))
            if fault == "hang":
                while await reader.read(1 << 16):
                    pass
                return False
            if fault == "expired":
                raise ValueError("'expired' is a fault of batches alone")
            if self.latency:
                await asyncio.sleep(self.latency)
            status, headers, payload = self._answer(body, None if fault in BROKEN else fault, ", ".join(request.keys))
        finally:
            self._handling -= 1  # before the answer: who has it may send the next request at once
        data = json.dumps(payload, ensure_ascii=False).encode()
        if fault in ("reset", "cut"):
            writer.write(_head(200, len(data)) + data[: len(data) // 2])
            if fault == "reset":
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            return False
        if fault in ("endless", "trickle", "bomb"):
            return await self._flood(writer, fault)
        if fault == "deep":
            data = b'{"choices": ' + b"[" * 100_000
        if fault == "not-json":
            self._send(writer, 200, b"<html><body><h1>Bad gateway</h1></body></html>", "text/html")
            return True
        request.answered = status == 200 and not reader.at_eof() and not writer.is_closing()
        self._billed += request.answered and _bills(fault)
        writer.write(_head(status, len(data), headers=headers) + data)
        return True

    @staticmethod
    async def _flood(writer: asyncio.StreamWriter, fault: str) -> bool:
        """An answer that never ends, at once or a byte at a time, or one that is far longer than it looks."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        if fault == "bomb":
            packed = bomb()
            writer.write(head + f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode() + packed)
            return True
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b" " * (1 if fault == "trickle" else 1 << 20)
        while True:
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
            await asyncio.sleep(0.02 if fault == "trickle" else 0)

    # Files and batches.

    def _route(self, request: Request) -> dict | bytes:
        match request.method, *request.path.split("/")[2:]:
            case "POST", "files":
                return self._upload(request)
            case "GET", "files", name:
                return self._file(name)[0]
            case "GET", "files", name, "content":
                return self._file(name)[1]
            case "POST", "batches":
                return self._create(request.body or {})
            case "GET", "batches":
                return self._page(request.query)
            case "GET", "batches", name:
                return self._poll(self._batch(name), ", ".join(request.keys))
            case "POST", "batches", name, "cancel":
                return self._cancel(self._batch(name))
        raise Refused(404, f"Invalid URL ({request.method} {request.path})")

    def _file(self, name: object) -> tuple[dict, bytes]:
        if name not in self._files:
            raise Refused(404, f"No such File object: {name}")
        return self._files[name]

    def _batch(self, name: str) -> dict:
        if name not in self.batches:
            raise Refused(404, f"No batch found with id '{name}'.")
        return self.batches[name]

    def _upload(self, request: Request) -> dict:
        form = _form(request)
        request.raw = b""
        if "file" not in form or form.get("purpose", ("", b""))[1] != b"batch":
            raise Refused(400, "an upload has a 'file' and the 'purpose' batch")
        return self._store(*form["file"], "batch")

    def _store(self, name: str, content: bytes, purpose: str) -> dict:
        file = {
            "id": "file-" + hashlib.sha256(f"file {len(self._files)}".encode()).hexdigest()[:22],
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "expires_at": None,
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        self._files[file["id"]] = file, content
        return file

    def _create(self, body: dict) -> dict:
        _, content = self._file(body.get("input_file_id"))
        metadata = body.get("metadata") or {}
        if (body.get("endpoint"), body.get("completion_window")) != (CHAT, "24h"):
            raise Refused(400, f"a batch has the 'endpoint' {CHAT} and the 'completion_window' 24h")
        if len(metadata) > 16 or any(
            not isinstance(value, str) or len(name) > 64 or len(value) > 512 for name, value in metadata.items()
        ):
            raise Refused(400, "metadata are up to 16 texts of up to 512 characters, their names up to 64")
        lines, errors = _lines(content, CHAT)
        end = next(self._ends, self._last_end)
        if end == "failed" and not errors:
            errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached.", "line": None}]
        now = int(time.time())
        batch = {
            "id": "batch_" + hashlib.sha256(f"batch {len(self.batches)}".encode()).hexdigest()[:32],
            "object": "batch",
            "endpoint": CHAT,
            "errors": None,
            "input_file_id": body["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + 86_400,
            **dict.fromkeys(f"{status}_at" for status in ("in_progress", "finalizing", "cancelling", *ENDS)),
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": body.get("metadata"),
        }
        self._jobs[batch["id"]] = Job([(name, row, self._nth(row)) for name, row in lines], errors, end)
        self.batches[batch["id"]] = batch
        return batch

    def _page(self, query: dict[str, str]) -> dict:
        names = list(reversed(self.batches))
        if "after" in query:
            names = names[names.index(self._batch(query["after"])["id"]) + 1 :]
        limit = int(query.get("limit", 20))
        if not 1 <= limit <= 100:
            raise Refused(400, "limit is from 1 to 100")
        page = names[:limit]
        return {
            "object": "list",
            "data": [self.batches[name] for name in page],
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
            "has_more": len(names) > limit,
        }

    def _cancel(self, batch: dict) -> dict:
        if batch["status"] in ENDS:
            raise Refused(409, f"Cannot cancel a batch with status '{batch['status']}'.")
        self._enter_status(batch, "cancelling")
        return batch

    def _poll(self, batch: dict, key: str) -> dict:
        if batch["status"] in ENDS:
            return batch
        job = self._jobs[batch["id"]]
        job.polled += 1
        if batch["status"] == "cancelling":
            self._finish(batch, job, "cancelled", key)
        elif job.polled > self.polls:
            self._finish(batch, job, "failed" if job.errors else job.end, key)
        elif batch["status"] == "validating":
            self._enter_status(batch, "in_progress")
            batch["request_counts"]["total"] = len(job.lines)
        return batch

    @staticmethod
    def _enter_status(batch: dict, status: str) -> None:
        batch["status"] = status
        batch[f"{status}_at"] = int(time.time())

    def _finish(self, batch: dict, job: Job, end: str, key: str) -> None:
        """Answer the lines, in shuffled order; a batch that was cut short answers the first half of them."""
        if end == "failed":
            batch["errors"] = {"object": "list", "data": [{**error, "param": None} for error in job.errors]}
            self._enter_status(batch, end)
            return
        lines = list(job.lines)
        random.Random(batch["id"]).shuffle(lines)
        answered = len(lines) if end == "completed" else len(lines) // 2
        output, errors = [], []
        for i, (name, body, nth) in enumerate(lines):
            fault = end if i >= answered else self._fault(body, nth) if _asks(body) else "400"
            row = {"id": f"batch_req_{batch['id'][6:18]}{i:06}", "custom_id": name, "response": None, "error": None}
            if fault in ("expired", "cancelled"):
                row["error"] = {"code": f"batch_{fault}", "message": f"The batch was {fault} before this request ran."}
            else:
                status, _, payload = self._answer(body, "500" if fault in BROKEN else fault, key)
                row["response"] = {"status_code": status, "request_id": row["id"][10:], "body": payload}
                if status == 200:
                    output.append(row)
                    if _bills(fault):
                        self._billed += 1
                        if self.log:
                            self._batched.append(canonical(body))
                    continue
            errors.append(row)
        for name, rows in (("output", output), ("error", errors)):
            if rows:
                content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
                batch[f"{name}_file_id"] = self._store(f"{batch['id']}_{name}.jsonl", content, "batch_output")["id"]
        batch["request_counts"] = {"total": len(lines), "completed": len(output), "failed": len(errors)}
        self._enter_status(batch, end)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve chat completions, files and batches; GET /stats counts.")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each chat answer takes")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt), Endpoint(**vars(options), log=False) as endpoint:
        print(endpoint.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
