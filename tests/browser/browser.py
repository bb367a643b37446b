"""A headless Chromium, driven through chromedriver (WebDriver), with nothing but the standard library.

    with Browser(width=360, height=800, dark=True) as browser:
        browser.open("http://127.0.0.1:9465/")
        browser.run("return document.title")
        browser.problems()                 # console errors, policy violations, foreign requests
        browser.screenshot("page.png")
"""
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.parse

from streams import wait_until

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--force-color-profile=srgb", "--hide-scrollbars"]
START_S = 60   # on a busy machine
ANSWER_S = 60


def why_unavailable():
    for program in ("chromedriver", "chromium"):
        if not shutil.which(program):
            return f"{program} is not installed (scripts/check-page installs it)"
    return None


class Browser:
    def __init__(self, width=1200, height=900, dark=False, scale=1):
        self.size, self.dark, self.scale = (width, height), dark, scale
        self._log = []

    def __enter__(self):
        self._profile = tempfile.mkdtemp(prefix="holdfast-browser-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={self._port}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": self._profile},
            start_new_session=True)
        try:
            wait_until(self._driver_ready, START_S, "chromedriver")
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def _driver_ready(self):
        try:
            return self._ask("GET", "/status")["ready"]
        except OSError:
            return False

    def _begin(self):
        options = {"binary": shutil.which("chromium"), "args": [
            *FLAGS, f"--user-data-dir={self._profile}/profile"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"
        self.resize(*self.size, self.scale)
        self.set_dark(self.dark)

    def __exit__(self, *_):
        self._end()

    def _end(self):
        """chromedriver and every process of its session, by their ids; then the profile."""
        try:
            if getattr(self, "_session", None):
                self._ask("DELETE", self._session)
        except (OSError, RuntimeError):
            pass
        os.killpg(self._driver.pid, signal.SIGTERM)
        try:
            self._driver.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._driver.pid, signal.SIGKILL)
            self._driver.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _ask(self, method, path, body=None):
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_S)
        try:
            client.request(method, path, body=None if body is None else json.dumps(body),
                           headers={"Content-Type": "application/json"})
            value = json.load(client.getresponse())["value"]
        finally:
            client.close()
        if isinstance(value, dict) and value.get("error"):
            raise RuntimeError(f"{method} {path}: {value['error']}: {value.get('message')}")
        return value

    # -- what a person does ----------------------------------------------------------------------

    def open(self, url):
        self.origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
        self._ask("POST", self._session + "/url", {"url": url})

    def run(self, script, *arguments):
        """The script's value; its arguments are `arguments[i]`."""
        return self._ask("POST", self._session + "/execute/sync",
                         {"script": script, "args": list(arguments)})

    def text(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return e && e.innerText", selector)

    def wait(self, script, *arguments, seconds=20, what=None):
        return wait_until(lambda: self.run(script, *arguments), seconds, what or script)

    def press(self, key):
        self._ask("POST", self._session + "/actions", {"actions": [
            {"type": "key", "id": "keys", "actions": [{"type": "keyDown", "value": key},
                                                      {"type": "keyUp", "value": key}]}]})

    def devtools(self, command, **parameters):
        return self._ask("POST", self._session + "/goog/cdp/execute",
                         {"cmd": command, "params": parameters})

    def resize(self, width, height, scale=1):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=scale, mobile=width < 600)

    def set_dark(self, dark):
        self.devtools("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path, whole=True):
        image = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(image["data"]))

    # -- what went wrong ---------------------------------------------------------------------------

    def problems(self, expected=()):
        """Console messages beyond plain information and requests that left the origin; texts that
        contain one of `expected` are left out."""
        found = []
        for entry in self._ask("POST", self._session + "/se/log", {"type": "browser"}):
            if entry["level"] in ("SEVERE", "WARNING"):
                found.append(entry["message"])
        for address in self.requests():
            if not address.startswith((self.origin + "/", "data:")):
                found.append(f"request to {address}")
        return [text for text in found if not any(word in text for word in expected)]

    def requests(self):
        """Addresses of all requests since the page was opened."""
        self._log += self._ask("POST", self._session + "/se/log", {"type": "performance"})
        sent = []
        for entry in self._log:
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                sent.append(message["params"]["request"]["url"])
        return [address for address in sent if not address.startswith(("chrome:", "about:"))]
