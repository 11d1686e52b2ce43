# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium driven by chromedriver through the W3C WebDriver protocol: enough for the tests of the live page.

Browser(folder) starts both; close() ends them. Elements are found by CSS selector; js() runs a function body in the page.
"""
import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def missing():
    """The missing programs, or ''."""
    return " ".join(name for name in ("chromium", "chromedriver") if not shutil.which(name))


class Browser:
    def __init__(self, folder, width=1300, height=900):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = open(f"{folder}/chromedriver.log", "w")
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=self.log, stderr=self.log, start_new_session=True)
        self.session = None
        self.is_timed = False
        self._wait_for_driver()
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-proxy-server",
                            f"--window-size={width},{height}", f"--user-data-dir={folder}/profile"]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}}, root=True)
        self.session = answer["sessionId"]

    def _wait_for_driver(self):
        for _ in range(300):
            try:
                if self.call("GET", "/status", root=True)["ready"]:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("chromedriver does not start")

    def call(self, method, path, body=None, root=False):
        url = f"http://127.0.0.1:{self.port}" + (path if root else f"/session/{self.session}{path}")
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"].splitlines()[0]) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def js(self, body, *arguments):
        return self.call("POST", "/execute/sync", {"script": body, "args": list(arguments)})

    def busy_s(self):
        """CPU time that the page's main thread has used since the first call, independent of the machine's load."""
        if not self.is_timed:
            self.call("POST", "/goog/cdp/execute", {"cmd": "Performance.enable", "params": {"timeDomain": "threadTicks"}})
            self.is_timed = True
        metrics = self.call("POST", "/goog/cdp/execute", {"cmd": "Performance.getMetrics", "params": {}})["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click")

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def press(self, key):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": [
            {"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]}]})

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def size(self, width, height):
        self.call("POST", "/window/rect", {"width": width, "height": height})

    def wait(self, body, seconds=30, *arguments):
        """Waits until the function body returns something true; returns that, or None."""
        for _ in range(int(seconds * 5)):
            value = self.js(body, *arguments)
            if value:
                return value
            time.sleep(0.2)
        return None

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def errors(self):
        """The errors that the page wrote to the console, including violations of its policy."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.log.close()
