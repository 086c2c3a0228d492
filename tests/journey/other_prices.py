"""What calls cost by the package genai-prices: an array of questions on standard input, one of answers out.

A question is {"provider", "model", "usage": {...}, "context": {...}}; an answer is the price in pico-dollars as a
decimal text behind the name of the model there, or null where the package does not know the model or has no price for this kind of call.
"""

import json
import sys
from datetime import UTC, datetime

from genai_prices import data_snapshot, types

# The kinds that are a part of something else.
OWN = {
    "cache_read_tokens": "cache_read_mtok",
    "cache_write_tokens": "cache_write_mtok",
    "cache_write_1h_tokens": "cache_write_1h_mtok",
    "web_searches": "web_searches_kcount",
}

# The day of the shipped table, at an hour without discounts.
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

SNAPSHOT = data_snapshot.get_snapshot()
FOUND = {}


def find(provider_id, model_ref):
    key = (provider_id, model_ref)
    if key not in FOUND:
        try:
            FOUND[key] = SNAPSHOT.find_provider_model(model_ref, None, provider_id, None)
        except LookupError:
            FOUND[key] = None
    return FOUND[key]


def answer(question):
    found = find(question["provider"], question["model"])
    if found is None:
        return None
    provider, model = found
    # A model that another provider sells has that one's price.
    if not any(own is model for own in provider.models):
        return None
    context = question["context"]
    if context and not any(variant.when == context for variant in model.price_variants or ()):
        return None
    usage = types.Usage(**question["usage"])
    # What they have no price of its own for, they charge as something else.
    prices = model.get_prices(AT, context or None)
    if context:
        prices = next(variant.prices for variant in reversed(model.price_variants) if variant.when == context)
    if any(getattr(prices, OWN[kind]) is None for kind in question["usage"] if kind in OWN):
        return None
    try:
        price = model.calc_price(usage, provider, genai_request_timestamp=AT, price_context=context or None)
    except ValueError:
        return None
    return f"{model.id} {price.total_price * 10**12:f}"


json.dump([answer(question) for question in json.load(sys.stdin)], sys.stdout)
