#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the published SmartWatts formula over a recorded stream, without its actors and databases.

usage: smartwatts_replay.py SENSOR.bson OUT.bson [--base-freq MHZ] [--tdp W] [--fast]

The installed package's own report class, dispatch rule and report handler are fed, one handler per socket and scope,
in the order of the stream, so delays, start-up gaps and the ticks it never writes are its own. Power reports
are written as by its MongoDB output, with `dynamic` and `static` added (static = ratio x intercept of the
model that made the report). With --fast the fitted models are evaluated without scikit-learn's checks of each
call: the same numbers to rounding, in a third of the time.
Needs: pip install smartwatts==2.4.1 powerapi==2.10.0
"""
import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import logging  # noqa: E402
from types import SimpleNamespace  # noqa: E402

import bson  # noqa: E402
from powerapi.dispatch_rule import HWPCDispatchRule, HWPCDepthLevel  # noqa: E402
from powerapi.report import FormulaReport, HWPCReport, PowerReport  # noqa: E402
from smartwatts.__main__ import generate_formula_configuration, generate_smartwatts_parser  # noqa: E402
from smartwatts.actor import SmartWattsFormulaScope  # noqa: E402
from smartwatts.handler import HwPCReportHandler  # noqa: E402
from smartwatts.model import CPUTopology  # noqa: E402
from smartwatts.model.power_model import PowerModel  # noqa: E402

intercepts = {}


def remember_intercepts():
    """Power reports name their model by its hash only."""
    learn = PowerModel.learn_power_model

    def learn_and_remember(self, *arguments):
        learn(self, *arguments)
        if self.id:
            intercepts[self.hash] = float(self.clf.intercept_)

    PowerModel.learn_power_model = learn_and_remember


def skip_checks():
    import sklearn
    from sklearn.exceptions import NotFittedError

    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)

    def predict(self, events):
        if not hasattr(self.clf, "coef_"):
            raise NotFittedError("not fitted")
        total = float(self.clf.intercept_)
        for weight, count in zip(self.clf.coef_.tolist(), events):
            total += weight * count
        return total

    PowerModel.predict_power_consumption = predict


class Pusher:
    """Receives what a handler sends to a pusher of power reports."""

    def __init__(self, out):
        self.state = SimpleNamespace(report_model=PowerReport)
        self.out = out

    def send_data(self, report):
        document = {"timestamp": report.timestamp, "sensor": report.sensor, "target": report.target,
                    "power": float(report.power), "metadata": dict(report.metadata)}
        metadata = document["metadata"]
        metadata["ratio"] = float(metadata["ratio"])
        if report.target not in ("rapl", "global"):
            metadata["static"] = metadata["ratio"] * intercepts.get(metadata["formula"], 0.0)
            metadata["dynamic"] = document["power"] - metadata["static"]
        self.out.write(bson.encode(document))


def defaults():
    """The configuration of the command line without options."""
    arguments = generate_smartwatts_parser().cli_parser.arguments.values()
    config = {max(argument.names, key=len): argument.default_value for argument in arguments}
    config["stream"] = False
    return config


def make_handler(config, scope, sensor, socket, out):
    topology = CPUTopology(config["cpu-tdp"], config["cpu-base-clock"], 1,
                           int(config["cpu-base-freq"] / config["cpu-base-clock"]), 100)
    state = SimpleNamespace(config=generate_formula_configuration(config, topology, scope), sensor=sensor,
                            socket=socket, pushers={"out": Pusher(out)})
    return HwPCReportHandler(state)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("sensor")
    parser.add_argument("out")
    parser.add_argument("--base-freq", type=int)
    parser.add_argument("--tdp", type=int)
    parser.add_argument("--interval", type=int, help="milliseconds that the package takes a tick to last")
    parser.add_argument("--fast", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    remember_intercepts()
    if options.fast:
        skip_checks()
    config = defaults()
    if options.base_freq:
        config["cpu-base-freq"] = options.base_freq
    if options.tdp:
        config["cpu-tdp"] = options.tdp
    if options.interval:
        config[next(key for key in config if key.startswith("sensor-reports"))] = options.interval
    rule = HWPCDispatchRule(HWPCDepthLevel.SOCKET, primary=True)
    handlers = {}
    dead = set()
    with open(options.sensor, "rb") as stream, open(options.out, "wb") as out:
        for document in bson.decode_file_iter(stream):
            document.get("metadata", {}).pop("lost", None)
            report = HWPCReport.from_mongodb(document)
            report.metadata = {}
            for identity in rule.get_formula_id(report):
                for scope in SmartWattsFormulaScope:
                    key = (scope,) + tuple(identity)
                    if key in dead:
                        continue
                    if key not in handlers:
                        handlers[key] = make_handler(config, scope, identity[0], identity[1], out)
                    try:
                        handlers[key].handle(report)
                    except (KeyError, ValueError) as error:
                        # The package's actor dies here and writes nothing more.
                        print(f"{key}: died of {error!r} at {report.timestamp}")
                        dead.add(key)


if __name__ == "__main__":
    main()
