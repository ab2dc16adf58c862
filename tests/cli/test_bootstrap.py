"""The box at the end of the containers' first start: where, with which keys, and four calls to try."""

from cli.bootstrap import box

URL = "http://127.0.0.1:8080"
ASK = """-H 'Content-Type: application/json' http://127.0.0.1:8080/v1/access-requests -d"""
BODY = """'{"dataset": "BTC", "frequencies": ["1d"]}'"""


def _lines(keys: dict[str, str]) -> list[str]:
    """What stands inside the box, whose frame must close."""
    top, *inside, bottom = box(URL, keys)
    assert {len(line) for line in (top, *inside, bottom)} == {len(top)}
    assert (top[0], top[-1], bottom[0], bottom[-1]) == ("┌", "┐", "└", "┘")
    assert all(line.startswith("│ ") and line.endswith(" │") for line in inside)
    return [line[2:-2].rstrip() for line in inside]


def test_the_box_names_the_url_three_keys_and_four_calls() -> None:
    assert _lines({"admin": "KEY-A", "ops": "KEY-O", "quant": "KEY-Q"}) == [
        "Tickgate serves at http://127.0.0.1:8080   Swagger UI: http://127.0.0.1:8080/docs",
        "",
        "admin  KEY-A",
        "ops    KEY-O",
        "quant  KEY-Q",
        "",
        "curl http://127.0.0.1:8080/v1/datasets",
        f"curl -H 'X-API-Key: KEY-Q' {ASK} {BODY}",
        "curl -H 'X-API-Key: KEY-O' 'http://127.0.0.1:8080/v1/access-requests?status=pending'",
        "curl -H 'X-API-Key: KEY-A' http://127.0.0.1:8080/v1/api-keys",
    ]


def test_with_only_an_admin_key_every_call_is_made_with_it() -> None:
    lines = _lines({"admin": "KEY-A"})
    assert lines[2:4] == ["admin  KEY-A", ""]
    assert [line.count("KEY-A") for line in lines[4:]] == [0, 1, 1, 1]


def test_without_a_file_of_keys_the_calls_say_where_to_put_ones_own() -> None:
    lines = _lines({})
    assert [line.count("YOUR-KEY") for line in lines[-4:]] == [0, 1, 1, 1]
