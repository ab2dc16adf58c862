"""Puts questions together."""

from typing import Annotated

from fastapi import Depends

from services.entitlements.questions.service import QuestionService
from shared.application import Transaction
from shared.clock import DatabaseClock


def _questions(session: Transaction) -> QuestionService:
    return QuestionService(session, DatabaseClock())


Questions = Annotated[QuestionService, Depends(_questions)]
