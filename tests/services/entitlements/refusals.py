"""What an answer must be to be a proper refusal."""

import httpx


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code; asserts that it is a problem with all its members."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id"}
    return answer.status_code, problem["code"]


def pointers(answer: httpx.Response) -> list[str]:
    """Where in the input the refusal points to, each place once."""
    assert refusal(answer) == (422, "invalid-input")
    found = [error["pointer"] for error in answer.json()["errors"]]
    return list(dict.fromkeys(found))
