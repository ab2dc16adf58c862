"""The pricing's table of contents."""

from services.pricing.coverage import controller as coverage
from services.pricing.database import idempotency, job_runs, metadata
from services.pricing.feeds import controller as feeds
from services.pricing.feeds.jobs import jobs
from services.pricing.feeds.repository import feed_gauges
from services.pricing.market_caps import controller as market_caps
from services.pricing.prices import controller as prices
from services.pricing.settings import PricingSettings
from services.pricing.usage import controller as usage
from services.pricing.usage.providers import counting
from shared.module import Module

module = Module(
    name="pricing",
    settings=PricingSettings,
    metadata=metadata,
    revision="0008",
    idempotency=idempotency,
    controllers=(prices.router, market_caps.router, coverage.router, feeds.router, usage.router),
    neighbours=("entitlements", "catalog"),
    remembered=("entitlements",),
    kept={"usage": counting},
    job_runs=job_runs,
    gauges=(feed_gauges,),
    jobs=jobs,
)
