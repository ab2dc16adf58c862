"""The statements of the prices, as Postgres runs them: it merges whole batches and renders whole pages."""

from services.pricing.prices.schemas import Text

# A batch comes as two texts: the app role may not make temporary tables, and one parse in C is quicker than 100,000
# values; bars start at whole seconds. It is joined with what stands from its first bar to its last: without statistics
# all of a series would be read. The caller holds the series' row: what is read here is what is written over. New rows
# look for no conflict, as there is none; others do, as a join to update them may be planned without statistics.
MERGE = """
with incoming as (
    select to_timestamp(seconds) as timestamp, price_usd
    from unnest(string_to_array(:seconds, ',')::bigint[], string_to_array(:prices, ',')::numeric[])
        as bar (seconds, price_usd)
), judged as materialized (
    select incoming.timestamp, incoming.price_usd, known.price_usd as old_price, known.recorded_at as old_recorded_at,
        known.version as old_version,
        case
            when known.timestamp is null then 'inserted'
            when known.recorded_at > :seen_at then 'unchanged'
            when known.price_usd <> incoming.price_usd then 'revised'
            when known.recorded_at < known.timestamp + cast(:period as interval)
                and known.timestamp + cast(:period as interval) <= :seen_at then 'closed'
            else 'unchanged'
        end as fate
    from incoming left join pricing.prices as known
        on known.dataset = :dataset and known.frequency = :frequency and known.timestamp = incoming.timestamp
            and known.timestamp between :first and :last
), kept as (
    insert into pricing.price_revisions
        (dataset, frequency, timestamp, superseded_at, price_usd, recorded_at, version, last_version)
    select :dataset, :frequency, timestamp, :seen_at, old_price, old_recorded_at, old_version, :version - 1
    from judged where fate in ('revised', 'closed')
), written as (
    insert into pricing.prices (dataset, frequency, timestamp, price_usd, recorded_at, version)
    select :dataset, :frequency, timestamp, price_usd, :seen_at, :version from judged where fate = 'inserted'
), rewritten as (
    insert into pricing.prices (dataset, frequency, timestamp, price_usd, recorded_at, version)
    select :dataset, :frequency, timestamp, price_usd, :seen_at, :version
    from judged where fate in ('revised', 'closed')
    on conflict (dataset, frequency, timestamp) do update
        set price_usd = excluded.price_usd, recorded_at = excluded.recorded_at, version = excluded.version
)
select
    count(*) filter (where fate = 'inserted') as inserted,
    count(*) filter (where fate = 'revised') as revised,
    count(*) filter (where fate in ('unchanged', 'closed')) as unchanged,
    count(*) filter (where fate = 'closed') as closed
from judged
"""

LAST_FINAL = """
select timestamp from pricing.prices
where dataset = :dataset and frequency = :frequency and recorded_at >= timestamp + cast(:period as interval)
order by timestamp desc limit 1
"""

SERIES = "dataset = :dataset and frequency = :frequency"
PRESENT = f"""
    select timestamp, price_usd, recorded_at from pricing.prices
    where {SERIES} and timestamp >= :start and timestamp < :end
"""  # noqa: S608  # here and below: nothing but this module's own text is put in
# what stood in a version of the series, of that what was recorded until an instant; a bar stands in one half only
PAST = f"""
    ({PRESENT} and version <= :version and recorded_at <= cast(:as_of as timestamptz) {{first}})
    union all
    (select timestamp, price_usd, recorded_at from pricing.price_revisions
    where {SERIES} and timestamp >= :start and timestamp < :end
        and version <= :version and recorded_at <= cast(:as_of as timestamptz)
        and (last_version >= :version or superseded_at > cast(:as_of as timestamptz)) {{first}})
"""  # noqa: S608
FIRST = "order by timestamp limit :limit + 1"  # in each half: else all that follows would be sorted for every chunk

BARS = """
    select timestamp, price_usd, recorded_at >= timestamp + cast(:period as interval) as final
    from ({known}) as known
    order by timestamp limit :limit + 1
"""

# numeric's own division rounds, and its round() takes halves away from zero: so the quotient is cut at 18 decimals
# as an integer, and the remainder decides, a half going to the even neighbour
MONTHS = """
    select month as timestamp, price_usd, final, open_usd, high_usd, low_usd, samples,
        0.000000000000000001 * (quotient + case
            when 2 * (total - quotient * samples) > samples then 1
            when 2 * (total - quotient * samples) = samples then mod(quotient, 2)
            else 0
        end) as mean_usd
    from (select *, div(total, samples) as quotient from (
        select date_trunc('month', timestamp, 'UTC') as month,
            (array_agg(price_usd order by timestamp desc))[1] as price_usd,
            (array_agg(price_usd order by timestamp))[1] as open_usd,
            max(price_usd) as high_usd, min(price_usd) as low_usd,
            count(*) as samples, sum(price_usd) * 1000000000000000000 as total,
            bool_or(extract(day from (timestamp + interval '1 day') at time zone 'UTC') = 1
                and recorded_at >= timestamp + interval '1 day') as final
        from ({known}) as known
        group by 1 order by 1 limit :limit + 1
    ) as days) as months
"""

STAMP = """to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
ROWS = {
    "csv": f"{STAMP} || ',' || price_usd || ',' || final",
    "json": f"""'{{"timestamp":"' || {STAMP} || '","price_usd":"' || price_usd || '","final":' || final""",
}
MONTH_FIELDS = {
    "csv": " || ',' || open_usd || ',' || high_usd || ',' || low_usd || ',' || mean_usd || ',' || samples",
    "json": """ || ',"open_usd":"' || open_usd || '","high_usd":"' || high_usd || '","low_usd":"' || low_usd"""
    """ || '","mean_usd":"' || mean_usd || '","samples":' || samples""",
}
ENDS = {"csv": " || E'\\n', ''", "json": " || '}', ','"}

# what lies between the bars around a batch, of which the holder of the series' row looks at nothing else
AROUND = """
    select coalesce(max(timestamp) filter (where timestamp < :first), :first) as low,
        coalesce(min(timestamp) filter (where timestamp > :last), :last) as high
    from (
        (select timestamp from pricing.prices where dataset = :dataset and frequency = :frequency
            and timestamp < :first order by timestamp desc limit 1)
        union all
        (select timestamp from pricing.prices where dataset = :dataset and frequency = :frequency
            and timestamp > :last order by timestamp limit 1)
    ) as neighbours
"""
FORGET_GAPS = """
delete from pricing.price_gaps where dataset = :dataset and frequency = :frequency and start > :low and start < :high
"""
KEEP_GAPS = """
insert into pricing.price_gaps (dataset, frequency, start, "end")
select :dataset, :frequency, due, next
from (
    select timestamp + cast(:period as interval) as due, lead(timestamp) over (order by timestamp) as next
    from pricing.prices where dataset = :dataset and frequency = :frequency
        and timestamp >= :low and timestamp <= :high
) as spaced
where next > due
"""
KEPT_GAPS = """
select
    (select min(timestamp) from pricing.prices where dataset = :dataset and frequency = :frequency) as first,
    (select max(timestamp) from pricing.prices where dataset = :dataset and frequency = :frequency) as last,
    (select array_agg(start order by start) from pricing.price_gaps
        where dataset = :dataset and frequency = :frequency) as starts,
    (select array_agg("end" order by start) from pricing.price_gaps
        where dataset = :dataset and frequency = :frequency) as ends
"""
MONTH_GAPS = """
with points as (
    select distinct date_trunc('month', timestamp, 'UTC') as timestamp from pricing.prices
    where dataset = :dataset and frequency = :frequency
), spaced as (
    select timestamp, timestamp + interval '1 month' as due, lead(timestamp) over (order by timestamp) as next
    from points
)
select min(timestamp) as first, max(timestamp) as last,
    array_agg(due order by due) filter (where next > due) as starts,
    array_agg(next order by due) filter (where next > due) as ends
from spaced
"""
GAPS = {"1h": KEPT_GAPS, "1d": KEPT_GAPS, "1mo": MONTH_GAPS}


def reading(frequency: str, text: Text, *, past: bool) -> str:
    """One statement, so one snapshot: the rendered rows, the last one's time, whether more follow, and the series.

    `past` reads the series as it was, in a version or at an instant.
    """
    monthly = frequency == "1mo"
    row = ROWS[text] + (MONTH_FIELDS[text] if monthly else "") + ENDS[text]
    known = PAST.format(first="" if monthly else FIRST) if past else PRESENT
    bars = (MONTHS if monthly else BARS).format(known=known)
    return f"""
        with bars as ({bars}),
        page as (
            select coalesce(string_agg({row} order by timestamp), '') as body, max(timestamp) as last, count(*) as rows
            from (select * from bars order by timestamp limit :limit) as shown
        )
        select page.*, (select count(*) from bars) > :limit as more, clock_timestamp() as now,
            source, coalesce(version, 0) as version, coalesce(first_version, 0) as first_version, updated_at,
            replaced_at
        from page left join pricing.series on {SERIES}
    """  # noqa: S608
