"""Chromium, headless, by the W3C WebDriver protocol: what the tests of pages need of it, and no more."""
import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request

from rialto_test import SLOW, Failed, die_with_the_test, equal, free_port, npm_install, require, temporary_folder, wait_until

AXE = "axe-core@4.14.1"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def is_there():
    return shutil.which("chromium") is not None and shutil.which("chromedriver") is not None


def axe():
    """The text of axe, which looks for what keeps people out, and "" - or "" and why it is not to be had."""
    folder = temporary_folder("axe.")
    missing = npm_install(folder, AXE)
    return ("" if missing else (folder / "node_modules/axe-core/axe.min.js").read_text()), missing


class Browser:
    def __init__(self, width=1280, height=900, dark=False):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.home = temporary_folder("chromium.")
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, preexec_fn=die_with_the_test)
        wait_until(self.is_ready, 20, "chromedriver")
        arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-GB", "--no-first-run",
                     f"--window-size={width},{height}", f"--user-data-dir={self.home}", *(["--force-dark-mode"] if dark else [])]
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": arguments}}}
        self.session = "/session/" + self.ask("POST", "/session", {"capabilities": capabilities})["sessionId"]

    def is_ready(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=40 * SLOW) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failed(f"the browser: {json.load(error)['value']['message'][:300]}") from error

    def open(self, url):
        self.ask("POST", self.session + "/url", {"url": url})

    def run(self, script, *arguments):
        """The value that a function body returns; a promise is waited for."""
        return self.ask("POST", self.session + "/execute/sync", {"script": script, "args": list(arguments)})

    def element(self, selector):
        return self.ask("POST", self.session + "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"{self.session}/element/{self.element(selector)}/click", {})

    def keys(self, text):
        """To whatever has the focus."""
        steps = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.ask("POST", self.session + "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def devtools(self, command, **parameters):
        return self.ask("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screen(self, width, height, is_phone=False, scheme="light"):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.ask("GET", self.session + "/screenshot")))

    def complaints(self):
        """What the console was told since the last question."""
        return [entry["message"] for entry in self.ask("POST", self.session + "/se/log", {"type": "browser"})]

    def barriers(self, axe_text):
        """What axe finds serious or critical in the page as it is now, by all of its rules: a text each."""
        if not self.run("return typeof axe === 'object'"):
            self.run(axe_text)
        found = self.run("return axe.run(document, {resultTypes: ['violations']})")
        require(len(found["passes"]) > 5, "axe has looked at nothing")
        return [f"{rule['impact']} {rule['id']}: {node['target']} {node['failureSummary']}" for rule in found["violations"]
                if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]

    def is_open_to_all(self, axe_text, what):
        equal(self.barriers(axe_text), [], what)

    def close(self):
        try:
            self.ask("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.home, ignore_errors=True)
