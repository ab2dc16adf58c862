"""Why a job cannot be run, and how a price source fails."""

from shared.errors import Problem


class JobNotFound(Problem):
    """There is no job with this name; `jobs` lists them."""

    status = 404


class SourceError(Exception):
    """The price source failed."""

    def __init__(self, detail: str = "") -> None:
        message = self.__doc__ or type(self).__name__
        super().__init__(f"{message} ({detail})" if detail else message)


class SourceUnavailable(SourceError):
    """The price source cannot answer now; trying later may help."""

    def __init__(self, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class SourceRefused(SourceError):
    """The price source refused the API key; check TICKGATE_COINCAP_API_KEY."""


class CreditsExhausted(SourceError):
    """The price source's credits for this month are used up; the key itself is good."""


class SourceRetired(SourceError):
    """This address of the price source was switched off; set TICKGATE_COINCAP_URL to https://rest.coincap.io/v3."""


class UnknownAsset(SourceError):
    """The price source does not know this asset."""


class UnexpectedAnswer(SourceError):
    """The price source answered in a way it never did; trying again would only cost credits."""
