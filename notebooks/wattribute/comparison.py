# SPDX-License-Identifier: Apache-2.0
"""Runs of two or more names side by side, as in `wattribute recap compare`, without the intervals."""
from __future__ import annotations

import pandas


def compare(recaps: pandas.DataFrame, *names: str, figure: str = "energy.cpu.total") -> pandas.DataFrame:
    """Number, mean, standard deviation, minimum and maximum of a figure for each name, and the ratio of the first mean to it."""
    if figure not in recaps or "name" not in recaps:
        raise KeyError("the recaps have no column '%s'" % figure)
    found = recaps[recaps["name"].isin(names)].groupby("name")[figure]
    table = found.agg(["count", "mean", "std", "min", "max"]).reindex(list(names))
    table["first / this"] = table["mean"].iloc[0] / table["mean"]
    return table
