# SPDX-License-Identifier: Apache-2.0
"""Power and energy of containers as pandas frames, from the documents that wattribute (or PowerAPI's sensor) writes.

    import wattribute
    store = wattribute.open("mongodb://server:27017")        # or "sqlite:/var/lib/wattribute/store.db"
    store = wattribute.open("http://server:4443")            # or the server, with token="WORD"
    store.machines()
    store.powers("node1", target="web", begin="2026-01-31T12:00")
    store.energy("node1")                                    # joules of each target and scope
    store.recaps("node1")                                    # finished runs
    wattribute.compare(store.recaps("node1"), "old", "new")  # their means, spread and ratio

`dynamic` is what a target's work causes, `static` its part of the power at rest, `power` both ("full").
The class testCase has the functions that users of the older notebooks know. Times are UTC.
"""
from .comparison import compare
from .machine import testCase
from .store import HttpStore, MongoStore, SqliteStore, Store, open

__all__ = ["HttpStore", "MongoStore", "SqliteStore", "Store", "compare", "open", "testCase"]
__version__ = "0.1.0"
