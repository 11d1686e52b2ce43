# SPDX-License-Identifier: Apache-2.0
"""Document stores: MongoDB, an SQLite store, or the server's HTTP interface. All give the same frames."""
from __future__ import annotations

import json
import sqlite3
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Iterator, List, Optional

import pandas

from .times import Time, to_datetime

DATABASE = "rapls2"
POWER_COLUMNS = ["timestamp", "target", "power", "scope", "socket", "dynamic", "static", "energy", "interval", "sd",
                 "error", "estimated", "calibrated", "container_id"]
Document = Dict[str, Any]


class Store:
    """The interface of every store; a store implements _collections() and _find()."""

    def _collections(self) -> Iterable[str]:
        raise NotImplementedError

    def _find(self, collection: str, target: Optional[str], begin: Optional[datetime], end: Optional[datetime]) -> Iterator[Document]:
        """Documents in the order of their time, begin and end included."""
        raise NotImplementedError

    def machines(self) -> List[str]:
        """Names of the machines that have reports or power reports."""
        names = (name[len(kind):] for name in self._collections() for kind in ("sensor", "power") if name.startswith(kind))
        return sorted(set(names))

    def powers(self, machine: str, target: Optional[str] = None, begin: Optional[Time] = None,
               end: Optional[Time] = None) -> pandas.DataFrame:
        """Watts of one target (default: all) by tick, scope and socket, with their dynamic and static parts."""
        rows = []
        for report in self._find("power" + machine, target, _time(begin), _time(end)):
            metadata = report.get("metadata", {})
            row = {"timestamp": report["timestamp"], "target": report["target"], "power": report["power"]}
            row.update((column, metadata.get(column)) for column in POWER_COLUMNS[3:])
            rows.append(row)
        return _typed(pandas.DataFrame(rows, columns=POWER_COLUMNS))

    def energy(self, machine: str, target: Optional[str] = None, begin: Optional[Time] = None,
               end: Optional[Time] = None) -> pandas.DataFrame:
        """Joules by target and scope: `energy` and its parts `dynamic` and `static`. Empty without reports."""
        powers = self.powers(machine, target, begin, end)
        for part in ("dynamic", "static"):
            powers[part] = powers[part] * powers["interval"]
        return powers.groupby(["target", "scope"])[["energy", "dynamic", "static"]].sum(min_count=1)

    def recaps(self, machine: str, name: Optional[str] = None) -> pandas.DataFrame:
        """Finished runs, the oldest first: nested figures as energy.cpu.total."""
        found = [recap for recap in self._find("recap" + machine, None, None, None) if name is None or recap.get("name") == name]
        table = pandas.json_normalize(found)
        return table.drop(columns=[column for column in ("_id",) if column in table])

    def targets(self, machine: str) -> pandas.DataFrame:
        """The sensor's description of each target: name, image, runtime, pod, labels, first and last time."""
        table = pandas.json_normalize(list(self._find("target" + machine, None, None, None)))
        return table.drop(columns=[column for column in ("_id",) if column in table])


class MongoStore(Store):
    """A MongoDB database; `database`: default is the one in the URI, otherwise rapls2."""

    def __init__(self, uri: str, database: Optional[str] = None):
        import pymongo

        client: Any = pymongo.MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=5000)
        self.database = client[database] if database else client.get_default_database(DATABASE)

    def _collections(self) -> Iterable[str]:
        names: List[str] = self.database.list_collection_names()
        return names

    def _find(self, collection: str, target: Optional[str], begin: Optional[datetime], end: Optional[datetime]) -> Iterator[Document]:
        wanted: Document = {} if target is None else {"target": target}
        limits = {op: time for op, time in (("$gte", begin), ("$lte", end)) if time is not None}
        if limits:
            wanted["timestamp"] = limits
        return iter(self.database[collection].find(wanted).sort("timestamp", 1))


class SqliteStore(Store):
    """An SQLite store of sensor and server, which may be in use meanwhile. Needs bson, which comes with pymongo."""

    def __init__(self, path: str):
        self.connection = sqlite3.connect("file:%s?mode=ro" % urllib.parse.quote(path), uri=True)

    def _collections(self) -> Iterable[str]:
        return [name for name, in self.connection.execute("SELECT DISTINCT collection FROM documents")]

    def _find(self, collection: str, target: Optional[str], begin: Optional[datetime], end: Optional[datetime]) -> Iterator[Document]:
        import bson

        options: Any = bson.codec_options.CodecOptions(tz_aware=True)
        text, values = "SELECT body FROM documents WHERE collection = ?", [collection]  # type: str, List[Any]
        for condition, value in ((" AND target = ?", target), (" AND time >= ?", begin and begin.timestamp() * 1000),
                                 (" AND time <= ?", end and end.timestamp() * 1000)):
            if value is not None:
                text += condition
                values.append(value)
        for body, in self.connection.execute(text + " ORDER BY time, number", values):
            yield bson.decode(body, codec_options=options)


class HttpStore(Store):
    """A wattribute server. Powers are down-sampled to at most `points` steps, for the targets with the most energy."""

    def __init__(self, url: str, token: Optional[str] = None, points: int = 1000):
        self.url, self.token, self.points = url.rstrip("/"), token, points

    def _get(self, path: str, **parameters: Any) -> Any:
        query = urllib.parse.urlencode({key: value for key, value in parameters.items() if value is not None})
        request = urllib.request.Request("%s%s?%s" % (self.url, path, query), headers={"Accept": "application/json"})
        if self.token:
            request.add_header("Authorization", "Bearer " + self.token)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def machines(self) -> List[str]:
        return sorted(one["sensor"] for one in self._get("/api/machines")["machines"])

    def powers(self, machine: str, target: Optional[str] = None, begin: Optional[Time] = None,
               end: Optional[Time] = None) -> pandas.DataFrame:
        """Like those of the other stores, but for cpu, dram and all sockets together, in equal steps; default: the last hour."""
        until = _time(end) or datetime.now(timezone.utc)
        since = _time(begin)
        answer = self._get("/api/history", sensor=machine, target=target, points=self.points, top=200,
                           **{"from": since.timestamp() if since else until.timestamp() - 3600, "until": until.timestamp()})
        rows = []
        for one in answer["targets"]:
            for time, watts, dynamic, sd in zip(answer["times"], one["watts"], one["dynamic"], one.get("sd") or [None] * len(one["watts"])):
                if watts is None:
                    continue
                rows.append({"timestamp": datetime.fromtimestamp(time, timezone.utc), "target": one["target"], "power": watts,
                             "dynamic": dynamic, "static": None if dynamic is None else watts - dynamic, "scope": "all",
                             "sd": sd, "energy": watts * answer["step"], "interval": answer["step"], "container_id": one["container_id"]})
        return _typed(pandas.DataFrame(rows, columns=POWER_COLUMNS).sort_values("timestamp", ignore_index=True))

    def recaps(self, machine: str, name: Optional[str] = None) -> pandas.DataFrame:
        table = pandas.json_normalize(self._get("/api/recaps", machine=machine, name=name, limit=10000)["recaps"][::-1])
        for column in ("begin", "beginwarmup", "beginexecution", "end", "timestamp"):
            if column in table:
                table[column] = pandas.to_datetime(table[column], utc=True, format="ISO8601")
        return table.drop(columns=[column for column in ("_id",) if column in table])

    def targets(self, machine: str) -> pandas.DataFrame:
        """The targets of the last tick, with image, pod, namespace and runtime."""
        for sensor in self._get("/api/latest", sensor=machine)["sensors"]:
            return pandas.DataFrame(sensor["targets"])
        return pandas.DataFrame()


def open(place: str, database: Optional[str] = None, token: Optional[str] = None) -> Store:  # noqa: A001
    """Opens a store: mongodb://HOST/DATABASE, sqlite:PATH, or the http(s):// address of a server."""
    if place.startswith(("http://", "https://")):
        return HttpStore(place, token)
    if place.startswith("sqlite:"):
        return SqliteStore(place[len("sqlite:"):])
    if place.startswith(("mongodb://", "mongodb+srv://")):
        return MongoStore(place, database)
    raise ValueError("'%s' is not a known store: give mongodb://HOST/DATABASE, sqlite:PATH or http://SERVER:PORT" % place)


def _time(value: Optional[Time]) -> Optional[datetime]:
    return None if value is None else to_datetime(value)


def _typed(table: pandas.DataFrame) -> pandas.DataFrame:
    table["timestamp"] = pandas.to_datetime(table["timestamp"], utc=True)
    for column in ("power", "dynamic", "static", "energy", "interval", "sd", "error"):
        table[column] = table[column].astype(float)
    return table
