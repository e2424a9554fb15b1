"""Requests to a range server, and every way in which it can fail."""

from __future__ import annotations

import socket
import threading

import pytest
from authhost_breached_passwords.errors import LookupFailed
from authhost_breached_passwords.range_server import count_at_server

from breached_passwords.conftest import RangeServer, send, sha1_hex

PASSWORD = "an umbrella for the moon"
DIGEST = sha1_hex(PASSWORD)


def lookup(url, digest=DIGEST, timeout=30.0, max_response=100_000):
    return count_at_server(url, digest, timeout=timeout, max_response=max_response)


def test_only_five_characters_of_the_hash_leave_the_process(range_server):
    range_server.passwords = {PASSWORD: 12}
    assert lookup(range_server.url) == 12
    [request] = range_server.requests
    assert request.path == f"/range/{DIGEST[:5]}"
    assert request.headers["Add-Padding"] == "true"
    assert request.headers["User-Agent"] == "authhost-breached-passwords"
    assert DIGEST[5:10] not in request.raw_requestline.decode() + str(request.headers)


def test_an_unknown_password(range_server):
    assert lookup(range_server.url) == 0


def test_padding_does_not_count(range_server):
    range_server.passwords = {PASSWORD: 0}
    assert lookup(range_server.url) == 0


def test_lower_case_and_plain_line_ends(range_server):
    range_server.answer = lambda request: send(request, f"{DIGEST[5:].lower()}:3\n")
    assert lookup(range_server.url + "/") == 3


def test_chunks(range_server):
    def answer(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        line = f"{DIGEST[5:]}:3"
        for part in (line[:7], line[7:]):
            request.wfile.write(f"{len(part):x}\r\n{part}\r\n".encode())
        request.wfile.write(b"0\r\n\r\n")

    range_server.answer = answer
    assert lookup(range_server.url) == 3


def cut_off(request):
    request.send_response(200)
    request.send_header("Content-Length", "400")
    request.end_headers()
    request.wfile.write(f"{'0' * 35}:1\r\n".encode())


def without_length(request):
    request.send_response(200)
    request.end_headers()
    request.wfile.write(f"{'0' * 35}:1\r\n".encode())


def cut_off_chunks(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"100\r\nABC")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda request: send(request, "", 404), "returned the status 404"),
        (lambda request: send(request, "no", 503), "returned the status 503"),
        (lambda request: send(request, ""), "returned no hash at all"),
        (lambda request: send(request, "\r\n\r\n"), "returned no hash at all"),
        (lambda request: send(request, "<html>Please log in to the Wi-Fi</html>"), "not SUFFIX:COUNT"),
        (lambda request: send(request, f"{'0' * 35}\r\n"), "not SUFFIX:COUNT"),
        (lambda request: send(request, "ä"), "something other than text|cut off"),
        (lambda request: send(request, f"{'0' * 35}:1\r\n" * 9000), "returned more than 100000 bytes"),
        (cut_off, "returned a response that was cut off"),
        (cut_off_chunks, "IncompleteRead"),
        (without_length, "without a length"),
        (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH_9\r\n"), "does not speak HTTP: BadStatusLine"),
        (lambda request: None, "does not speak HTTP: RemoteDisconnected"),
        (lambda request: request.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X" * 70_000), "LineTooLong"),
    ],
)
def test_a_useless_response(range_server, answer, problem):
    range_server.answer = answer
    with pytest.raises(LookupFailed, match=problem) as caught:
        lookup(range_server.url)
    assert str(caught.value).startswith("the range server 127.0.0.1 ")
    assert DIGEST[:5] not in str(caught.value)


def test_no_redirect_is_followed(range_server):
    with RangeServer() as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        range_server.answer = lambda request: send(request, "", 302, Location=f"{other.url}/AAAAA")
        with pytest.raises(LookupFailed, match="returned the status 302"):
            lookup(range_server.url)
        other.shutdown()
        thread.join()
    assert other.requests == []


def trickle(request, text):
    """Send one byte each time; the next always comes before a timeout of a single read would end."""
    for byte in text:
        if request.server.stopping.wait(0.02):
            return
        request.wfile.write(bytes([byte]))
        request.wfile.flush()


def slow_headers(request):
    trickle(request, b"HTTP/1.0 200 OK\r\nX: " + b"x" * 500 + b"\r\nContent-Length: 0\r\n\r\n")


def slow_body(request):
    request.send_response(200)
    request.send_header("Content-Length", "518")
    request.end_headers()
    trickle(request, f"{'0' * 35}:1".encode() * 14)


@pytest.mark.parametrize(
    "answer", [slow_headers, slow_body, lambda request: request.server.stopping.wait(60)]
)
def test_the_whole_request_is_limited(range_server, answer):
    range_server.answer = answer
    with pytest.raises(LookupFailed, match=r"did not answer within 0\.3 seconds"):
        lookup(range_server.url, timeout=0.3)


def test_a_server_that_accepts_no_connection():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(LookupFailed, match="cannot be reached or does not speak HTTP: ConnectionRefused"):
            lookup(f"http://127.0.0.1:{sock.getsockname()[1]}/range")


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:1/ä", "https://127.0.0.1:99999/", f"https://{'a' * 64}.example/", "https://a..b"],
)
def test_any_error_of_the_request_is_a_failure(url):
    with pytest.raises(LookupFailed, match="cannot be reached or does not speak HTTP"):
        lookup(url)


def test_a_server_without_tls(range_server):
    with pytest.raises(LookupFailed, match="has no valid TLS connection"):
        lookup(range_server.url.replace("http:", "https:"))
