# SPDX-License-Identifier: Apache-2.0
"""The checks of 510-page. usage: page_check.py URL FOLDER [SCREENSHOTS|--thousand|--estimated]; prints "ok NAME" or "not ok NAME | WHY" lines.

--thousand: the server shows 1,000 containers at 1 Hz; the page's cost is counted, in requests and nodes.
"""
import json
import re
import sqlite3
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from browser import Browser

URL, FOLDER = sys.argv[1], sys.argv[2]
SHOTS = sys.argv[3] if len(sys.argv) > 3 else ""
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# Pixels of the curve's canvas that have the colour of the band and nothing else: what sticks out above the layers.
BAND = """const canvas = document.querySelector('#chart canvas'), found = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
let n = 0; for (let i = 3; i < found.length; i += 4) if (found[i] > 35 && found[i] < 60) n++; return n > 20 ? n : 0"""


def note(text):
    print(f"# {text}", flush=True)


def check(name, good, why=""):
    print(f"ok {name}" if good else f"not ok {name} | {why or 'no'}", flush=True)


def ask(path, method="GET", **parameters):
    query = urllib.parse.urlencode(parameters)
    request = urllib.request.Request(f"{URL}{path}?{query}", method=method)
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)


def number(text):
    """Watts or joules as the page prints them."""
    found = re.match(r"(-?[\d.]+) (mW|W|mJ|J|kJ|MJ|GJ)$", text or "")
    units = {"mW": 1e-3, "W": 1, "mJ": 1e-3, "J": 1, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9}
    return float(found[1]) * units[found[2]] if found else None


def column(browser, index):
    return browser.js("return [...document.querySelectorAll('tbody tr:not(.gap)')].map(r => r.children[arguments[0]].textContent)", index)


def store_energy(target, since_ms, until_ms):
    """Joules of a target in the store itself, bypassing the server."""
    db = sqlite3.connect(f"file:{FOLDER}/a.db?mode=ro", uri=True)
    total, rows = 0.0, 0
    for (document,) in db.execute(
            "select body from documents where collection='powern1' and target=? and time>? and time<=?", (target, since_ms, until_ms)):
        at = document.index(b"\x01energy\0") + 8
        total += struct.unpack("<d", document[at:at + 8])[0]
        rows += 1
    return total, rows


def live(browser):
    browser.open(f"{URL}/")
    check("the table fills", browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length > 5"))
    check("the chart is drawn", browser.wait("return document.querySelector('#chart canvas') !== null"))
    kept = ask("/api/machines")["retention"]
    check("the longest range is the store's retention", kept == 30 * 86400 and browser.js("return Number([...document.querySelectorAll('#range option')].at(-1).value)") == kept, kept)
    check("the chart has a description", "measured" in browser.js("return document.getElementById('chart').getAttribute('aria-label')"))
    time.sleep(4)
    shown = number(browser.text("#tile-measured"))
    check("measured watts are shown", shown and shown > 1, shown)
    rows = column(browser, 1)
    watts = [number(text) for text in rows if number(text) is not None]
    check("sorted by watts", watts == sorted(watts, reverse=True), watts)
    # Paused, and after earlier requests are answered: rows and sum are of one tick, however slow the browser is.
    browser.js("document.getElementById('pause').click()")
    time.sleep(1)
    rows = column(browser, 1)
    watts = [number(text) for text in rows if number(text) is not None]
    total, shown = sum(watts), number(browser.text("#tile-measured"))
    everything = browser.js("return Number(document.querySelector('table').getAttribute('aria-rowcount'))") - 1
    if everything == len(rows):
        check("the rows add up to the measured power", abs(total - shown) < 0.02 * shown, f"{total} of {shown}")
    one, two = column(browser, 1), (time.sleep(2.5), column(browser, 1))[1]
    check("pause stops the table", one == two)
    browser.js("document.getElementById('pause').click()")
    check("it continues", browser.wait("return JSON.stringify([...document.querySelectorAll('tbody tr:not(.gap)')].map(r => r.children[1].textContent)) !== arguments[0]", 20, json.dumps(two, separators=(",", ":"))))


def sort_and_search(browser):
    browser.click("th[data-key=joules] button")
    energies = [number(text) for text in column(browser, 5)]
    errors = [number(text) for text in column(browser, 4)]
    bare = [name for name, watts, sd in zip(column(browser, 0), column(browser, 1), errors) if sd is None and number(watts)]
    check("each row with watts has an error bar", any(errors) and not bare, bare)
    check("a click sorts by joules", energies == sorted(energies, reverse=True), energies[:5])
    check("the heading shows it", browser.js("return document.querySelector('th[data-key=joules]').getAttribute('aria-sort')") == "descending")
    browser.click("th[data-key=target] button")
    names = column(browser, 0)
    check("a click sorts by name", names == browser.js("return arguments[0].slice().sort((a, b) => a.localeCompare(b))", names), names[:5])
    part = names[0][:3]
    browser.press("/")
    browser.type("#search", part)
    found = browser.wait("const n = [...document.querySelectorAll('tbody tr:not(.gap)')].map(r => r.children[0].textContent); return n.length && n.every(x => x.includes(arguments[0])) && n", 10, part)
    check("search filters", bool(found), part)
    browser.js("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")


def target(browser):
    browser.click("th[data-key=watts] button")
    name = browser.js("return [...document.querySelectorAll('tbody a')].map(a => a.textContent).find(n => n !== 'system' && n !== 'idle')")
    browser.js("[...document.querySelectorAll('tbody a')].find(a => a.textContent === arguments[0]).click()", name)
    check("a name opens its page", browser.wait("return document.getElementById('target-name')?.textContent === arguments[0]", 10, name), name)
    check("with its curve", browser.wait("return document.querySelector('#chart canvas') !== null"))
    until = time.time() - 2
    # All ticks of this time are stored, however late on a busy machine.
    for _ in range(300):
        if ask("/api/latest", sensor="n1")["sensors"][0]["timestamp"] > 1000 * (until + 1):
            break
        time.sleep(0.2)
    history = ask("/api/history", sensor="n1", target=name, **{"from": until - 10, "until": until})
    stored, rows = store_energy(name, int((until - 10) * 1000), int(until * 1000))
    answered = history["targets"][0]["energy_j"] if history["targets"] else 0
    check("its energy matches the store", rows > 0 and abs(answered - stored) <= 1e-6 * stored + 1e-9, f"{answered} J of {stored} J in {rows} rows")
    check("so does their error bar", history["targets"] and history["targets"][0]["sd_j"] > 0 and len(history["targets"][0]["sd"]) == len(history["times"]), history["targets"])
    check("the energy is shown with its error bar", browser.wait("return / ± .* J/.test(document.getElementById('target-energy').textContent)", 20), browser.text("#target-energy"))
    check("the watts below the curve, too", re.match(r"Latest, .*: [\d.]+ ± <?[\d.]+ m?W \(dynamic .*, idle share .*\)$", browser.text(".readout") or ""), browser.text(".readout"))
    check("and in the curve's description", re.search(r"watts [\d.]+ ± <?[\d.]+ m?W; ", browser.js("return document.getElementById('chart').getAttribute('aria-label')")))
    check("with a band around the curve", browser.wait(BAND), browser.js(BAND))
    # The last report but some: at the pointer.
    browser.js("const over = document.querySelector('#chart .u-over'), at = over.getBoundingClientRect(); over.dispatchEvent(new MouseEvent('mousemove', "
               "{ bubbles: true, clientX: at.left + at.width * 0.97, clientY: at.top + 20 }))")
    check("the pointer shows the watts of its time", browser.wait("return !document.querySelector('.readout').textContent.startsWith('Latest')", 10), browser.text(".readout"))
    if SHOTS:
        browser.screenshot(f"{SHOTS}/page-target.png")
    return name


def runs(browser, name):
    now = time.time()
    for i in range(4):
        ask("/rapls2/n1", "POST", name=name, begin=now - 9 - i, beginwarmup=now - 9 - i, beginexecution=now - 6, end=now - 3 - i / 2)
    browser.click("#nav-runs")
    check("the runs are listed", browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length >= 4"))
    listed = browser.js("return [...document.querySelectorAll('tbody tr:not(.gap)')].map(r => r.querySelectorAll('td.number')[2].textContent)")
    check("their joules have error bars", listed and all(re.fullmatch(r"(≥ )?[\d.]+ ± <?[\d.]+ m?k?J", text) for text in listed), listed)
    browser.js("[...document.querySelectorAll('tbody select')].forEach((s, i) => { s.value = 'AB'[i % 2]; s.dispatchEvent(new Event('change')); })")
    text = browser.wait("return document.getElementById('compared')?.textContent")
    recaps = ask("/api/recaps", machine="n1")["recaps"]
    newest_first = sorted(recaps, key=lambda r: r["end"], reverse=True)
    group = [sum(s["total"] for s in r["energy"].values()) for r in newest_first[::2]]
    mean = sum(group) / len(group)
    printed = number(re.sub(r" ± <?[\d.]+", "", browser.js("return document.querySelector('#compared tbody td').textContent").split(" (")[0]))
    check("two groups are compared", text and "p " in text, text)
    check("each run's own error is not in the spread", browser.js("return /^Each run's own error is about [\\d.]+ m?J \\(A\\) and [\\d.]+ m?J \\(B\\); /.test(document.querySelector('#comparison .hint').textContent)"))
    check("the mean of group A is that of its recaps", printed and abs(printed - mean) <= 0.01 * mean + 0.06, f"{printed} {mean}")
    browser.click("tbody button")
    check("a run's curve has its phases", browser.wait("return (document.getElementById('run-chart')?.getAttribute('aria-label') ?? '').includes('warm-up and execution')"))
    phases = browser.js("const at = [...document.querySelectorAll('#run dt')].filter(e => /^(Energy|Warm-up|Execution), /.test(e.textContent)); return at.map(e => e.nextSibling.textContent)")
    check("its energy and that of its phases have error bars", len(phases) >= 3 and all(re.match(r"[\d.]+ ± <?[\d.]+ m?k?J", text) for text in phases), phases)
    if SHOTS:
        browser.size(1300, 1250)
        time.sleep(1)
        browser.screenshot(f"{SHOTS}/page-runs.png")
        browser.size(1300, 900)


def formats(browser):
    """Joules and watts with their error bar, from nothing to gigajoules."""
    browser.js("window.shown = null; import('/page/format.js').then(format => { window.shown = arguments[0].map(([value, sd]) => format.joulesWithError(value ?? NaN, sd ?? NaN)); })",
               [[184.2, 7.1], [184.2, 37], [1154, 37], [914.9, 370], [0, 0], [0, 0.02], [0.0123, 0.004], [5, 1e-6], [2.5e9, 1e7], [3, None], [None, 2], [1e-9, 1e-9], [-3, 0.5]])
    shown = browser.wait("return window.shown")
    wanted = ["184.2 ± 7.1 J", "184 ± 37 J", "1.154 ± 0.037 kJ", "915 ± 370 J", "0.00 ± 0.00 J", "0 ± 20 mJ", "12.3 ± 4.0 mJ", "5.000 ± <0.001 J", "2.500 ± 0.010 GJ", "3.00 J", "–",
              "0.000 ± <0.001 mJ", "-3.00 ± 0.50 J"]
    check("joules and their error have one unit and the error's digits", shown == wanted, shown)


    browser.js("window.shown = null; import('/page/format.js').then(format => { window.shown = arguments[0].map(([value, sd]) => format.wattsWithError(value ?? NaN, sd ?? NaN)); })",
               [[4.812, 0.52], [2511, 130], [0.0123, 0.004], [5, None], [None, 1], [0, 0]])
    shown = browser.wait("return window.shown")
    check("watts and their error, too", shown == ["4.81 ± 0.52 W", "2511 ± 130 W", "12.3 ± 4.0 mW", "5.00 W", "–", "0.00 ± 0.00 W"], shown)
    browser.js("window.shown = null; import('/page/statistics.js').then(statistics => { window.shown = arguments[0].map(scopes => statistics.errorOfTotal(scopes)); })",
               [[{"total": 10, "dynamic": 5, "sd": 3}, {"total": 2, "dynamic": 1, "sd": 4}], [{"total": 10, "dynamic": 5, "sd": 3}, {"total": 300, "dynamic": 200}],
                [{"total": 10, "dynamic": 5, "sd": 3}, {"total": 300, "dynamic": 0}], [{"total": 100, "dynamic": 5, "sd": 3}, {"total": 5}], [{"sd": 3}], []])
    shown = browser.wait("return window.shown")
    check("the error of a total is unknown if a busy scope's is", shown == [5, None, 3, 3, None, None], shown)


def rest(browser):
    browser.click("#nav-sensors")
    check("the sensors are listed", browser.wait("return document.querySelector('#sensors tbody')?.textContent.includes('n1')"))
    browser.click("#theme")
    check("the theme changes", browser.js("return document.documentElement.dataset.theme") in ("dark", "light"))
    browser.click("#nav-live")
    browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length > 5")
    time.sleep(2)
    if SHOTS:
        browser.screenshot(f"{SHOTS}/page-live.png")
    browser.size(500, 900)
    time.sleep(1)
    check("nothing is wider than a phone screen", browser.js("return document.documentElement.scrollWidth <= window.innerWidth"),
          browser.js("return document.documentElement.scrollWidth + ' of ' + window.innerWidth"))
    bare = browser.js("return [...document.querySelectorAll('button, select, input')].filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length")
    check("every control has a name", bare == 0, bare)
    kept = browser.js("return document.querySelectorAll('tbody tr').length")
    check("only visible rows are in the document", kept < 120, kept)


def hostile():
    with opener.open(f"{URL}/page/app.js", timeout=10) as answer:
        check("scripts are served as JavaScript", answer.headers["Content-Type"].startswith("text/javascript"))
    for path, parameters in (("/api/history", {"sensor": "n1", "from": "x"}), ("/api/history", {"sensor": "n1", "points": "1e9"}),
                             ("/api/history", {"sensor": "n1", "from": 20, "until": 10}), ("/api/history", {}), ("/api/target", {"sensor": "n1"}),
                             ("/api/live", {}), ("/page/..%2fserver.c", {})):
        try:
            ask(path, **parameters)
            check(f"{path} {parameters} is refused", False)
        except urllib.error.HTTPError as error:
            check(f"{path} {parameters} is refused with a reason", error.code in (400, 404) and json.load(error)["error"], error.code)


def names(browser):
    """Accessibility: content for screen readers, and use by keyboard only."""
    browser.size(1300, 900)
    browser.open(f"{URL}/")
    browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length > 5")
    check("one main element, one top-level heading, a language", browser.js(
        "return document.querySelectorAll('main').length === 1 && document.querySelectorAll('h1').length === 1 && document.documentElement.lang === 'en'"))
    check("each table has a caption, and each of its headings a scope", browser.js(
        "return [...document.querySelectorAll('table')].every(t => t.caption?.textContent && [...t.querySelectorAll('thead th')].every(h => h.scope === 'col'))"))
    bare = browser.js("return [...document.querySelectorAll('nav, section, [role=region], ul')].filter(e => !(e.getAttribute('aria-label') || "
                      "e.getAttribute('aria-labelledby'))).map(e => e.outerHTML.slice(0, 90))")
    check("regions, navigation and lists have names", not bare, bare)
    check("a row is named by its first cell", browser.js("return [...document.querySelectorAll('tbody tr:not(.gap)')].every(r => r.querySelector('th[scope=row]'))"))
    seen = []
    browser.js("document.body.focus(); document.activeElement.blur()")
    for _ in range(60):
        browser.press("\ue004")  # Tab
        at = browser.js("const e = document.activeElement; return [e.id || e.textContent.trim().slice(0, 30) || e.className, e.closest('th')?.dataset.key ?? '', "
                        "getComputedStyle(e).outlineStyle !== 'none' || e.tagName === 'SELECT' || e.tagName === 'INPUT']")
        seen.append(at)
        if at[1] == "joules":
            break
    check("Tab reaches the views, pause and the headings, in this order", [one for one in (name for name, _, _ in seen) if one in ("nav-live", "nav-runs", "nav-sensors", "pause")]
          == ["nav-live", "nav-runs", "nav-sensors", "pause"] and seen[-1][1] == "joules", seen)
    check("the first one skips to the content", seen[0][0].startswith("Skip"), seen[0])
    check("the focused element is visibly marked", all(visible for _, _, visible in seen), [name for name, _, visible in seen if not visible])
    browser.press("\ue007")  # Enter
    check("Enter on a heading sorts", browser.wait("return ['ascending', 'descending'].includes(document.querySelector('th[data-key=joules]').getAttribute('aria-sort'))", 5))


def thousand(browser):
    browser.open(f"{URL}/")
    check("1,000 containers are in the table", browser.wait("return Number(document.querySelector('table[aria-rowcount]')?.getAttribute('aria-rowcount') ?? 0) > 1000", 60))
    browser.wait("return document.querySelector('#chart canvas') !== null")
    time.sleep(3)  # the first requests are for history, and of any size
    browser.js("performance.clearResourceTimings(); performance.setResourceTimingBufferSize(1000); window.begun = performance.now(); window.written = 0; "
               "new MutationObserver(list => { window.written += list.length; }).observe(document.querySelector('tbody'), {subtree: true, childList: true, characterData: true}); "
               "window.long = []; new PerformanceObserver(list => { for (const one of list.getEntries()) window.long.push(Math.round(one.duration)); }).observe({entryTypes: ['longtask']})")
    busy = browser.busy_s()
    time.sleep(12)
    busy = browser.busy_s() - busy
    seconds, kinds, size, written = browser.js(
        "const all = performance.getEntriesByType('resource').map(e => [new URL(e.name).pathname, e.encodedBodySize]); return [(performance.now() - window.begun) / 1000, "
        "all.map(e => e[0]), all.reduce((sum, e) => sum + e[1], 0), window.written]")
    check(f"at most one request a second ({len(kinds)} in {seconds:.0f} s)", 1 < len(kinds) <= seconds + 2, kinds)
    check(f"all of them incremental ({size // max(len(kinds), 1) // 1000} kB each)", set(kinds) <= {"/api/live", "/api/machines"} and size < 200000 * len(kinds), (set(kinds), size))
    check("the table changes", written > 0, written)
    before = browser.busy_s()
    browser.js("for (let i = 0, x = 0; i < 5e7; i++) window.burnt = x += i")
    burnt = browser.busy_s() - before
    check("the measurement of the main thread's work detects a loop", burnt > 0.02, burnt)
    # A frame is missed if one task takes more than 50 ms; on a shared machine only the thread's own CPU time is meaningful.
    share = busy / max(seconds, 1)
    check(f"the main thread works {1000 * share:.0f} ms in each second", 0 < share < 0.2, f"{busy} s in {seconds} s")
    note(f"tasks above 50 ms of the clock, other programs' time included: {browser.js('return window.long') or 'none'}")
    nodes = browser.js("return document.getElementsByTagName('*').length")
    check(f"the document stays small ({nodes} elements)", nodes < 2500, nodes)
    rows = browser.js("return document.querySelectorAll('tbody tr').length")
    check(f"only visible rows are in it ({rows})", 5 < rows < 120, rows)
    browser.js("const s = document.querySelector('.scroll'); s.scrollTop = s.scrollHeight")
    check("the last rows are shown when scrolled to", browser.wait(
        "return [...document.querySelectorAll('tbody tr[aria-rowindex]')].some(r => Number(r.getAttribute('aria-rowindex')) >= 1000)", 20))
    check("and the document is as small as before", browser.js("return document.getElementsByTagName('*').length") < 2500)
    browser.size(500, 900)
    time.sleep(1)
    check("nothing is wider than a phone screen", browser.js("return document.documentElement.scrollWidth <= window.innerWidth"))


def estimated(browser):
    """Estimated joules are marked wherever they are shown."""
    browser.open(f"{URL}/")
    check("the table fills", browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length > 0", 60))
    # The store keeps two hours.
    ranges = browser.js("return [...document.querySelectorAll('#range option')].map(o => [Number(o.value), o.textContent])")
    check("ranges go from five minutes to the store's retention", ranges[0][0] == 300 and ranges[-1] == [7200, "2 hours, all that is kept"], ranges)
    check("the machine's source is labelled as an estimate", browser.wait("return document.getElementById('tile-source').textContent.includes('(estimate)')"))
    now = time.time()
    for i in range(2):
        ask("/rapls2/guessed", "POST", name="system", begin=now - 3 - i, end=now - 1, image="alpine:3", command="dd if=/dev/zero")
    browser.click("#nav-runs")
    check("the runs are listed", browser.wait("return document.querySelectorAll('tbody tr:not(.gap)').length >= 2"))
    check("their joules are marked", browser.js("return [...document.querySelectorAll('tbody tr:not(.gap)')].every(r => r.textContent.includes('≈'))"))
    check("and the mark is explained", "≈: the machine's energy is estimated" in browser.js("return document.querySelector('main').textContent"))
    browser.js("[...document.querySelectorAll('tbody select')].forEach((s, i) => { s.value = 'AB'[i % 2]; s.dispatchEvent(new Event('change')); })")
    check("compared, too", browser.wait("return document.querySelector('#compared caption')?.textContent.includes('estimated from CPU use')"))
    browser.click("tbody button")
    check("and a single run", browser.wait("return document.querySelector('#run .estimated')?.textContent.startsWith('estimated')"))
    facts = browser.js("return document.querySelector('#run dl').textContent")
    check("which shows image, command and formula", all(word in facts for word in ("alpine:3", "dd if=/dev/zero", "Formula")), facts)
    browser.open(f"{URL}/#/target/guessed/system")
    check("and a target's energy", browser.wait("return document.getElementById('target-energy')?.textContent.includes('estimated')", 20))


def main():
    browser = Browser(FOLDER)
    try:
        if SHOTS in ("--thousand", "--estimated"):
            thousand(browser) if SHOTS == "--thousand" else estimated(browser)
            check("the page ends without errors", not browser.errors())
            return
        live(browser)
        sort_and_search(browser)
        runs(browser, target(browser))
        formats(browser)
        rest(browser)
        names(browser)
        hostile()
        errors = browser.errors()
        check("the page ends without errors", not errors, " ".join(errors))
    finally:
        browser.close()


main()
