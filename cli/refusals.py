"""What a refusal says in a terminal: commands and options where HTTP names calls and fields."""

from gateway.keys.errors import AccountNotFound, ApiKeyNotFound, NameTaken
from services.pricing.feeds.errors import JobNotFound
from shared.errors import InvalidInput, Problem

TEXTS: dict[type[Problem], str] = {
    AccountNotFound: "There is no account with this id; `tickgate keys list --json` shows each key's account.",
    ApiKeyNotFound: "There is no API key with this id; `tickgate keys list` lists them.",
    NameTaken: "An account with this name exists already; `tickgate keys create --account ID` makes another key of it.",
    JobNotFound: "There is no job with this name.",
}


def told(problem: Problem) -> str:
    """The refusal in one line: which option is wrong, or what is and what can be done."""
    places = problem.members.get("errors", ())
    if isinstance(problem, InvalidInput) and places:
        return " ".join(f"--{place['pointer'].strip('/')}: {place['message']}." for place in places)
    lists = [f"{name}: {', '.join(value)}." for name, value in problem.members.items() if _is_texts(value)]
    return " ".join([TEXTS.get(type(problem), str(problem)), *lists])


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
