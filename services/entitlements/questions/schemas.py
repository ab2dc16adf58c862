"""Questions and answers on the wire."""

from pydantic import ConfigDict, Field

from services.entitlements.requests.schemas import Frequencies
from shared.wire import Input, Text


class Question(Input):
    """What Ops wants to know before it decides."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Which desk is this for?"}]})

    text: Text = Field(description="The Quant reads it.", examples=["Which desk is this for?"])
    frequencies: Frequencies | None = Field(default=None, description="What it is about; all that is undecided.")


class Answer(Input):
    """What the request's owner says to it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "For the carry desk in Zurich."}]})

    text: Text = Field(description="Ops reads it.", examples=["For the carry desk in Zurich."])
