# SPDX-License-Identifier: Apache-2.0
"""Times in the forms that users write."""
from __future__ import annotations

from datetime import datetime, timezone
from typing import Union

import pandas

Time = Union[datetime, pandas.Timestamp, str, int, float]


def to_datetime(value: Time) -> datetime:
    """A datetime from a datetime, a pandas timestamp, ISO text, or epoch seconds. Without a time zone it is UTC."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, timezone.utc)
    stamp = pandas.Timestamp(value)
    if stamp.tzinfo is None:
        stamp = stamp.tz_localize("UTC")
    return stamp.to_pydatetime()
