"""What kind of goods the products are: fresh, seasonal, or nothing that could be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.demo.source import Lines, Mask, Products

FRESH_DEPARTMENTS = frozenset(
    {"PRODUCE", "MEAT", "MEAT-PCKGD", "DELI", "PASTRY", "SEAFOOD", "SEAFOOD-PCKGD", "SALAD BAR"}
)
NO_PRODUCT_DEPARTMENTS = frozenset(
    {"", "FUEL", "COUPON", "MISCELLANEOUS", "POSTAL CENTER", "CHARITABLE CONT", "CNTRL/STORE SUP"}
)
SEASONAL_WORDS = ("CHRISTMAS", "GIFT", "CANDY", "EGGNOG", "DECOR")
HOLIDAY_MEAL_WORDS = ("TURKEY", "CRANBERR", "STUFFING", "PIE", "YAMS", "SWEET POTATO", "GRAVY")

FRESH = "fresh"
NOT_A_PRODUCT = "not-a-product"
SEASONAL = "seasonal"
HOLIDAY_MEAL = "holiday-meal"


@dataclass(frozen=True)
class Assortment:
    """For each line: whether its goods are fresh, and whether they can be ordered at all."""

    fresh: Mask
    orderable: Mask


def sort_lines(lines: Lines, products: Products) -> Assortment:
    """Tells what kind of goods each line sold."""
    fresh = _in(products.department, FRESH_DEPARTMENTS)
    no_product = _in(products.department, NO_PRODUCT_DEPARTMENTS)
    return Assortment(fresh=fresh[lines.product], orderable=~no_product[lines.product])


def tags_of(department: str, category: str, kind: str) -> Iterator[str]:
    """Yields the tags of a product by its department, category and type."""
    if department in FRESH_DEPARTMENTS:
        yield FRESH
    if department in NO_PRODUCT_DEPARTMENTS:
        yield NOT_A_PRODUCT
    text = f"{category} {kind}"
    if any(word in text for word in SEASONAL_WORDS):
        yield SEASONAL
    if any(word in text for word in HOLIDAY_MEAL_WORDS):
        yield HOLIDAY_MEAL


def _in(departments: list[str], chosen: frozenset[str]) -> Mask:
    return np.array([department in chosen for department in departments], dtype=np.bool_)
