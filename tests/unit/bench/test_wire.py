import pytest

from eventbench.wire import parse_answer

COMPLETE = b'HTTP/1.1 202 ACCEPTED\r\nContent-Length: 7\r\n\r\n{"a":1}'
CHUNKED = b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("whole", [COMPLETE, CHUNKED])
def test_an_answer_is_incomplete_until_its_last_byte(whole: bytes) -> None:
    assert all(parse_answer(whole[:length]) is None for length in range(len(whole)))
    assert parse_answer(whole) is not None


def test_status_and_body_are_read() -> None:
    answer = parse_answer(COMPLETE)
    assert answer is not None
    assert (answer.status, answer.body, answer.closes) == (202, b'{"a":1}', False)


def test_header_names_are_read_in_any_case() -> None:
    answer = parse_answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: Close\r\n\r\n")
    assert answer is not None
    assert answer.closes
