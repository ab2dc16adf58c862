"""Questions and answers over HTTP."""

from uuid import UUID

from fastapi import APIRouter

from services.entitlements.questions.providers import Questions
from services.entitlements.questions.schemas import Answer, Question
from services.entitlements.requests.providers import Requests
from services.entitlements.requests.schemas import OpsRequestOut, RequestOut
from shared.principal import Caller

router = APIRouter(prefix="/v1/access-requests", tags=["Requests"])


@router.post("/{id}/question", summary="Ask about a request", operation_id="askAboutAccessRequest")
def ask_about_request(
    id: UUID,  # noqa: A002
    question: Question,
    questions: Questions,
    requests: Requests,
    caller: Caller,
) -> OpsRequestOut | RequestOut:
    """Asks the Quant about undecided items, which become `needs-info`; they can still be decided, and still lapse.

    The Quant is told. Another question may follow before the answer.
    """
    questions.ask(id, question, caller)
    return requests.find(id, caller)


@router.post("/{id}/answer", summary="Answer a question", operation_id="answerQuestion")
def answer_question(
    id: UUID,  # noqa: A002
    answer: Answer,
    questions: Questions,
    requests: Requests,
    caller: Caller,
) -> OpsRequestOut | RequestOut:
    """Answers what Ops asked about a request of yours; its items are `pending` again, and Ops is told."""
    questions.answer(id, answer, caller)
    return requests.find(id, caller)
