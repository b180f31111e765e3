"""Chromium without a window, driven over its DevTools pipe: opens a page and says what went wrong and how it lies."""

import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ANSWER_SECONDS = 60
BROWSER_DESCRIPTORS = (3, 4)  # it reads from the first and writes to the second


def find_program():
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class BrowserError(Exception):
    pass


class Browser:
    """One browser with one tab, from its making to close(); what it stores is gone then."""

    def __init__(self, program):
        self._folder = tempfile.TemporaryDirectory(prefix="fastkv_browser_", ignore_cleanup_errors=True)
        from_us, self._to_browser = os.pipe()
        self._from_browser, to_us = os.pipe()

        def connect():
            copies = os.dup(from_us), os.dup(to_us)
            for copy, number in zip(copies, BROWSER_DESCRIPTORS):
                os.dup2(copy, number)

        self._process = subprocess.Popen(
            [program, "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-extensions", "--hide-scrollbars", f"--user-data-dir={self._folder.name}",
             "about:blank"],
            preexec_fn=connect, pass_fds=BROWSER_DESCRIPTORS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(from_us)
        os.close(to_us)
        self._numbers = itertools.count(1)
        self._unread = b""
        self._problems = []
        self._loaded = False
        self._session = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(domain + ".enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._to_browser)
        os.close(self._from_browser)
        self._folder.cleanup()

    def open(self, path, width, height=900, dark=False):
        """Loads a file into a window of this size. Returns what was reported: script errors, console messages of
        warnings and errors, and whatever could not be loaded."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                   mobile=False)
        self._call("Emulation.setEmulatedMedia",
                   features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self._problems = []
        self._loaded = False
        address = pathlib.Path(path).resolve().as_uri()
        failure = self._call("Page.navigate", url=address).get("errorText")
        if failure:
            raise BrowserError(f"{address}: {failure}")
        while not self._loaded:
            self._take_message()
        return self._problems

    def evaluate(self, expression):
        """The value of a JavaScript expression on the page, as JSON can hold it."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise BrowserError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def screenshot(self, path):
        """The whole page as a PNG file."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        image = self._call("Page.captureScreenshot", captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})
        pathlib.Path(path).write_bytes(base64.b64decode(image["data"]))

    def _call(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._take_message()
            if answer.get("id") != number:
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error']}")
            return answer["result"]

    def _take_message(self):
        message = json.loads(self._read_message())
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self._problems.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self._problems.append([argument.get("value") for argument in parameters["args"]])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self._problems.append(parameters["entry"]["text"])
        return message

    def _read_message(self):
        end = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from_browser], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise BrowserError(f"no answer within {ANSWER_SECONDS} seconds")
            piece = os.read(self._from_browser, 1 << 20)
            if not piece:
                raise BrowserError(f"the browser ended with status {self._process.wait()}")
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        return message
