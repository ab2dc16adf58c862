"""Why a job cannot be run, how a price source fails, and why it is not called at all."""

from services.pricing.feeds.entities import Rejected
from shared.errors import Problem

UNREADABLE = "200 without JSON"


class JobNotFound(Problem):
    """There is no job with this name; `jobs` lists them."""

    status = 404


class KeyUnusable(ValueError):
    """TICKGATE_COINCAP_API_KEY must be printable ASCII and not empty."""

    def __str__(self) -> str:
        return self.__doc__ or ""


class SourceError(Exception):
    """The price source failed."""

    ends_run = False  # whether asking for another series would fail in the same way
    lasts = False  # whether asking again in some minutes would

    def __init__(self, detail: str = "", *, raw: str | None = None) -> None:
        message = self.__doc__ or type(self).__name__
        super().__init__(f"{message} ({detail})" if detail else message)
        self.rejected = [] if raw is None else [Rejected(raw, detail)]  # for quarantine: what should have been data


class SourceUnavailable(SourceError):
    """The price source cannot answer now; trying later may help."""

    def __init__(self, detail: str = "", *, raw: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(detail, raw=raw)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The price source refused the API key; check TICKGATE_COINCAP_API_KEY."""

    ends_run = True
    lasts = True


class CreditsExhausted(SourceError):
    """The price source's credits for this month are used up; the key itself is good."""

    ends_run = True
    lasts = True


class SourceRetired(SourceError):
    """This address of the price source was switched off; set TICKGATE_COINCAP_URL to https://rest.coincap.io/v3."""

    ends_run = True
    lasts = True


class UnknownAsset(SourceError):
    """The price source does not know this asset."""


class UnexpectedAnswer(SourceError):
    """The price source answered in a way it never did; trying again would only cost credits."""


class AnswerDrifted(SourceError):
    """Nothing in the price source's answer could be trusted; all of it is in quarantine, and no price has changed."""


class CircuitOpen(SourceError):
    """The price source failed five times in a row, so it is left alone for a minute; then one call tries it."""

    ends_run = True


class BudgetSpent(SourceError):
    """What is left of this month's credits is kept for the daily jobs; see TICKGATE_COINCAP_CREDITS."""

    ends_run = True
    lasts = True


class RunOver(SourceError):
    """The run has taken the ten minutes that a run may take; the next one goes on where it was."""

    ends_run = True


class FailedAlready(SourceError):
    """The price source was asked since this run was due, and failed in a way that asking again does not mend."""
