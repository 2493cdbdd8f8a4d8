"""endpoint: answers that no good server gives end in a reason, never in a traceback."""

import json
import socketserver
import threading

import pytest

from tests.shared.llm.conftest import rows, run

GOOD = json.dumps({"queries": ["가 나", "다 라"]}, ensure_ascii=False)


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the same bytes, and closes the connection."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        length = 0
        while line := self.rfile.readline().strip():
            name, _, value = line.lower().partition(b":")
            length = int(value) if name == b"content-length" else length
        self.rfile.read(length)
        self.wfile.write(self.server.answer)


@pytest.fixture
def serve():
    servers = []

    def begin(answer):
        servers.append(Server(answer))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,)).start()
        return servers[-1]

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def http(body, status="200 OK", kind="application/json"):
    body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def message(content, **others):
    return http({"choices": [{"message": {"content": content, **others}}]})


NO_REPLY = "no reply in 1 attempts, the last: the endpoint's answer holds no reply"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "no reply in 1 attempts, the last: connection failed (ServerDisconnectedError"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no reply in 1 attempts, the last: connection failed ("),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n{}", "no reply in 1 attempts, the last: connection failed ("),
        (http(""), "no reply in 1 attempts, the last: the endpoint's answer is not JSON"),
        (http("[]"), NO_REPLY),
        (http("null"), NO_REPLY),
        (http({"choices": None}), NO_REPLY),
        (http({"choices": [{"message": None}]}), NO_REPLY),
        (message(7), NO_REPLY),
        (message([7]), NO_REPLY),
        (message(None), "no usable reply in 1 tries: no JSON object in the reply"),
        (message(None, refusal="No.\nNever."), "refused: No. Never."),
        (
            http("<html>\n" + "x" * 5000, "502 Bad Gateway", "text/html"),
            "no reply in 1 attempts, the last: 502: <html> xx",
        ),
        (http("no", "400 Bad Request", "text/plain"), "refused by the endpoint (400: no)"),
        (http("", "400 Bad Request"), "refused by the endpoint (400: no message)"),
        (http({"error": "no"}, "422 No"), "refused by the endpoint (422: no)"),
        (http({"message": "no"}, "413 No"), "refused by the endpoint (413: no)"),
        (http({"error": {"message": None}}, "418 No"), "refused by the endpoint (418: "),
    ],
)
def test_an_answer_of_no_use_is_a_failure_with_its_reason(settings, serve, answer, reason):
    llm = settings(serve(answer), retries=0, reasks=0)
    made, session = run(llm, 1)
    assert made == [None]
    ((_, _, found),) = session.failures
    assert found.startswith(reason)
    assert len(found) < 400
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        (message(GOOD), ["가 나", "다 라"]),
        (message(GOOD, refusal="", role="assistant"), ["가 나", "다 라"]),
        (message([{"type": "thinking", "thinking": "?"}, {"type": "text", "text": GOOD}]), ["가 나", "다 라"]),
        (message(GOOD.replace("라", "라\ud83d")), ["가 나", "다 라?"]),
        (http({"choices": [{"message": {"content": GOOD}, "finish_reason": None}], "usage": None}), ["가 나", "다 라"]),
    ],
)
def test_an_unusual_answer_is_read(settings, serve, answer, made):
    llm = settings(serve(answer))
    assert run(llm, 1)[0] == [made]
    assert len(rows(llm)) == 1
