#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every query of the dashboard and the rules against a Prometheus; one TAP-like line each, exits with 1 if any fails.

usage: prometheus_queries.py URL DASHBOARD.json RULES.yml
A query must be valid; it must also have a result, except alerts and queries for pods and namespaces, which the test's
machine lacks.
"""
import json
import re
import sys
import urllib.parse
import urllib.request


def ask(url, path, **parameters):
    try:
        with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}", timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def filled(query):
    for name, value in {"$__rate_interval": "20s", "$__range": "5m", "$machine": ".*", "$namespace": ".*", "$container": ".*"}.items():
        query = query.replace(name, value)
    return query


def main():
    url, dashboard, rules = sys.argv[1:]
    failed = 0
    with open(dashboard, encoding="utf-8") as file:
        board = json.load(file)
    queries = [
        (f"panel '{panel['title']}'", filled(target["expr"]), "pod!=" not in target["expr"])
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
    for variable in board["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable.get("definition", ""))
        if found:
            queries.append((f"variable '{variable['name']}'", filled(found.group(1)), True))
    with open(rules, encoding="utf-8") as file:
        text = file.read()
    for kind, name, expression in re.findall(r"- (record|alert): (\S+)\n\s+expr: (.*)", text):
        queries.append((f"{kind} {name}", expression, kind == "record"))
    for name, query, must_answer in queries:
        answer = ask(url, "/api/v1/query", query=query)
        rows = len(answer.get("data", {}).get("result", []))
        good = answer["status"] == "success" and (rows > 0 or not must_answer)
        failed += not good
        print(f"{'ok' if good else 'FAILED'} {name}: {rows} rows {'' if good else answer.get('error', query)}")
    loaded = ask(url, "/api/v1/rules")["data"]["groups"]
    sick = [rule["name"] for group in loaded for rule in group["rules"] if rule["health"] == "err"]
    count = sum(len(group["rules"]) for group in loaded)
    print(f"{count} rules loaded, not well: {sick}")
    return 1 if failed or sick or count != len(re.findall(r"- (?:record|alert):", text)) else 0


if __name__ == "__main__":
    sys.exit(main())
