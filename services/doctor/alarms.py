"""What the alarms will cost: false ones that the settings allow, and how long real falls then take to find."""

from collections.abc import Iterator

from services.doctor.check import Check, ok
from services.settings import Settings


def check_alarms(settings: Settings) -> Iterator[Check]:
    """Yield the price of the false-alarm budget in one sentence."""
    from monitor.drift.limits import limit_for, price_of  # loads scipy

    budget, reference_k = settings.culture.false_alarms, settings.culture.cusum_reference_k
    price = price_of(reference_k, limit_for(budget.frames_between, reference_k))
    allowed = (
        f"{budget.alarms:g} false potency alarm{'' if budget.alarms == 1.0 else 's'} in {budget.days:g} days over "
        f"{budget.flasks} flask{'' if budget.flasks == 1 else 's'}"
    )
    yield ok("alarms", f"{allowed}: {price.in_words(budget.frame_interval_s)}")
