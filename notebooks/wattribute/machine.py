# SPDX-License-Identifier: Apache-2.0
"""The class that users of the older notebooks know: one machine's collections in a MongoDB database.

    from wattribute import testCase
    machine = testCase("node1", serveraddr="server", serverport=27017)
    machine.getrecap()                       # all finished runs
    machine.getpowers("web")                 # the whole machine's watts while the container lived
    machine.getcontainerpowers("web")        # the container's own watts
"""
from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple

import pandas
import pymongo

from .times import Time
from .times import to_datetime as _time

JOULES_PER_COUNT = 2.0**-32
RAPL_PREFIX = "RAPL_ENERGY_"
DATABASE = "rapls2"
POWER_FIELDS = ("scope", "socket", "dynamic", "static", "energy", "interval", "sd", "estimated", "calibrated",
                "container_id")


def _reports(database: Any, machine: str) -> str:
    """The collection of a machine's reports: sensorNAME, or the name itself, as in hwpc-sensor's examples."""
    usual = machine in ("prep", "report") or machine.startswith("report_")
    return machine if usual and "sensor" + machine not in database.list_collection_names() else "sensor" + machine


def _energies(report: Dict[str, Any]) -> Dict[str, float]:
    """Joules of one tick of the whole machine: {"PKG_0": ..., "DRAM_0": ...}.

    The same rule as in the server: whatever the group is called, a socket's joules are those of its lowest CPU that has
    the event, because sensors that read every CPU repeat the same counter.
    """
    energies: Dict[str, float] = {}
    for group in report.get("groups", {}).values():
        for socket, cpus in group.items():
            for cpu in sorted(cpus, key=int):
                for event, count in cpus[cpu].items():
                    if not event.split("::")[-1].startswith(RAPL_PREFIX):
                        continue
                    domain = event.rsplit("_", 1)[-1] + "_" + socket
                    energies.setdefault(domain, count * JOULES_PER_COUNT)
    return energies


def _steps(times: pandas.Series[pandas.Timestamp]) -> pandas.Series[float]:
    """Length of each tick in seconds, from the times of a stream that does not report it.

    A step far from the usual one is a pause or a duplicate report; the first tick is taken to be as long as usual.
    """
    steps: pandas.Series[float] = times.diff().dt.total_seconds()
    usual = steps[steps > 0].median()
    return steps.where((steps >= usual / 5) & (steps <= usual * 10), usual)


class testCase:  # noqa: N801 (the name that notebooks use)
    """One machine's collections in one database."""

    def __init__(self, machine: str, database: Optional[str] = None, serveraddr: str = "localhost", serverport: int = 27017):
        """`database`: default is the one in the URI (serveraddr may be mongodb://HOST/DATABASE), else rapls2."""
        uri = serveraddr if "://" in serveraddr else "mongodb://%s:%d/" % (serveraddr, serverport)
        self.machine = machine
        self.client: Any = pymongo.MongoClient(uri, tz_aware=True, serverSelectionTimeoutMS=5000)
        self.database = self.client[database] if database else self.client.get_default_database(DATABASE)
        self.reports = self.database[_reports(self.database, machine)]
        self.powers = self.database["power" + machine]
        self.recaps = self.database["recap" + machine]

    def getcontainers(self) -> List[str]:
        """Names of all containers and services that have reports."""
        return sorted(name for name in self.reports.distinct("target") if name != "all")

    def gettimestamps(self, container: str) -> Tuple[datetime, datetime]:
        """First and last time of a container's reports; LookupError when it has none."""
        wanted = {"target": container}
        first = self.reports.find_one(wanted, {"timestamp": 1}, sort=[("timestamp", 1)])
        if first is None:
            raise LookupError("no report of '%s' in sensor%s" % (container, self.machine))
        last = self.reports.find_one(wanted, {"timestamp": 1}, sort=[("timestamp", -1)])
        return first["timestamp"], last["timestamp"]

    gettimetamps = gettimestamps

    def _ticks(self, begin: Time, end: Time) -> pandas.DataFrame:
        """One row for each tick in [begin, end]: timestamp, interval (s), joules by domain."""
        wanted = {"target": "all", "timestamp": {"$gte": _time(begin), "$lte": _time(end)}}
        rows = []
        for report in self.reports.find(wanted).sort("timestamp", 1):
            row = {"timestamp": report["timestamp"], "interval": report.get("metadata", {}).get("interval")}
            row.update(_energies(report))
            rows.append(row)
        table = pandas.DataFrame(rows)
        if table.empty:
            return pandas.DataFrame(columns=["timestamp", "interval"])
        # Sensors that do not say how long a tick was.
        table["interval"] = table["interval"].astype(float).fillna(_steps(table["timestamp"]))
        return table

    def getpowersFromInterval(self, begin: Time, end: Time) -> pandas.DataFrame:
        """Watts of the whole machine for each tick in [begin, end]: timestamp and powers_<domain>_<socket>."""
        ticks = self._ticks(begin, end)
        domains = [name for name in ticks.columns if name not in ("timestamp", "interval")]
        table = ticks[["timestamp"]].copy()
        for name in domains:
            table["powers_" + name] = ticks[name] / ticks["interval"]
        return table

    def getpowers(self, container: str) -> pandas.DataFrame:
        """The same as getpowersFromInterval(), over the container's life."""
        return self.getpowersFromInterval(*self.gettimestamps(container))

    def getenergyFromInterval(self, begin: Time, end: Time) -> pandas.Series[float]:
        """Joules of the whole machine in the ticks of [begin, end], by domain; a missing domain is left out."""
        ticks = self._ticks(begin, end)
        domains = [name for name in ticks.columns if name not in ("timestamp", "interval")]
        return pandas.Series({"energy_" + name: ticks[name].sum() for name in domains}, dtype=float)

    getenergyfromInterval = getenergyFromInterval

    def getenergy(self, container: str) -> pandas.Series[float]:
        """The same as getenergyFromInterval(), over the container's life."""
        return self.getenergyFromInterval(*self.gettimestamps(container))

    def getcontainerpowers(self, container: str, begin: Optional[Time] = None, end: Optional[Time] = None) -> pandas.DataFrame:
        """The container's own watts for each tick, socket and scope, with their dynamic and static parts and `sd`."""
        wanted: Dict[str, Any] = {"target": container}
        if begin is not None or end is not None:
            wanted["timestamp"] = {}
            if begin is not None:
                wanted["timestamp"]["$gte"] = _time(begin)
            if end is not None:
                wanted["timestamp"]["$lte"] = _time(end)
        rows = []
        for report in self.powers.find(wanted).sort("timestamp", 1):
            metadata = report.get("metadata", {})
            row = {"timestamp": report["timestamp"], "power": report["power"]}
            for field in POWER_FIELDS:
                row[field] = metadata.get(field)
            rows.append(row)
        return self._fill_energy(pandas.DataFrame(rows, columns=("timestamp", "power") + POWER_FIELDS))

    @staticmethod
    def _fill_energy(table: pandas.DataFrame) -> pandas.DataFrame:
        """PowerAPI's power reports have neither length nor joules: computed from the time steps of each scope and socket."""
        for _, rows in table.groupby(["scope", "socket"], dropna=False):
            lengths = rows["interval"].astype(float).fillna(_steps(rows["timestamp"]))
            table.loc[rows.index, "interval"] = lengths
            table.loc[rows.index, "energy"] = rows["energy"].astype(float).fillna(rows["power"] * lengths)
        return table

    def getcontainerenergy(self, container: str, begin: Optional[Time] = None, end: Optional[Time] = None) -> pandas.Series[float]:
        """The container's own joules by scope."""
        table = self.getcontainerpowers(container, begin, end)
        if table.empty:
            return pandas.Series(dtype=float)
        return table.groupby("scope")["energy"].sum()

    def getrecap(self, name: Optional[str] = None) -> pandas.DataFrame:
        """Finished runs, oldest first, without ids and dates: one row each; nested figures as energy.cpu.total."""
        hidden = {"_id": 0, "id": 0, "begin": 0, "beginwarmup": 0, "beginexecution": 0, "end": 0}
        found = self.recaps.find({"name": name} if name else {}, hidden).sort("end", 1)
        return pandas.json_normalize(list(found))
