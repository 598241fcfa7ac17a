"""A headless Chromium that opens a report as a file, and hears what it says and asks for."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe"
)
"""`--no-sandbox`, because root may not run Chromium with it; the pipe, because Chromium ends once its driver has."""
HANG_S = 300
"""Longer than a page takes on a machine that does much else; only what hangs is ended by it."""

AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_FAULTS = """
const [context, done] = arguments;
axe.run(context).then(
  (found) => done(found.violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .flatMap(({id, nodes}) => nodes.map(({html}) => `${id}: ${html}`))
    .concat(found.incomplete.filter(({nodes}) => !nodes.length).map(({id}) => `${id}: could not be checked`))),
  (error) => done([`axe: ${error}`]));
"""
_FAINT = """
const parts = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number); return [[r, g, b], a]; };
const over = (top, alpha, below) => top.map((value, i) => alpha * value + (1 - alpha) * below[i]);
const ground = (element) => {
  if (!element) return [255, 255, 255];
  const [colour, alpha] = parts(getComputedStyle(element).backgroundColor);
  return alpha === 1 ? colour : over(colour, alpha, ground(element.parentElement));
};
const luminance = (rgb) => rgb.map((value) => value / 255)
  .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
const found = { read: 0, faint: [] };
for (const element of document.body.querySelectorAll(":not(svg *, option, script, :disabled, .spoken)")) {
  const text = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join("");
  if (!text || !element.checkVisibility()) continue;
  const below = ground(element), [colour, alpha] = parts(getComputedStyle(element).color);
  const [dark, light] = [luminance(over(colour, alpha, below)), luminance(below)].sort((a, b) => a - b);
  found.read += 1;
  if ((light + 0.05) / (dark + 0.05) < 4.5) found.faint.push(text);
}
return found;
"""


class _Driver(webdriver.ChromeService):
    """A chromedriver that ends with the process that started it, however that ended."""

    def __init__(self, chromedriver: str) -> None:
        setpriv = shutil.which("setpriv")
        self._before = ["--pdeathsig", "KILL", chromedriver] if setpriv else []
        super().__init__(setpriv or chromedriver)

    def command_line_args(self) -> list[str]:
        return [*self._before, *super().command_line_args()]


class Browser:
    """One browser window; what a page does to it ends with the next `open`."""

    def __init__(self, chromium: str, chromedriver: str, profile: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self._driver = webdriver.Chrome(options, _Driver(chromedriver))
        self._driver.set_script_timeout(HANG_S)
        self._devtools("Emulation.setFocusEmulationEnabled", enabled=True)

    def close(self) -> None:
        self._driver.quit()

    def open(self, page: Path, *, width: int = 1440, scheme: str = "light", media: str = "screen") -> None:
        """Load a page, with no log from before."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        colours = {"name": "prefers-color-scheme", "value": scheme}
        self._devtools("Emulation.setEmulatedMedia", media=media, features=[colours])
        self._driver.get("about:blank")
        self.complaints(), self.requests()
        self._driver.get(page.as_uri())

    def scripts(self, *, run: bool) -> None:
        """Let the scripts of pages run, or not."""
        self._devtools("Emulation.setScriptExecutionDisabled", value=not run)

    def clipboard(self, setting: str) -> None:
        """Set whether pages may write to the clipboard: "granted" or "denied"; whoever asks here may read it."""
        for name, value in (("clipboard-write", setting), ("clipboard-read", "granted")):
            self._devtools("Browser.setPermission", permission={"name": name}, setting=value)

    def copied(self) -> str:
        """Return what the clipboard holds."""
        script = "const done = arguments[0]; navigator.clipboard.readText().then(done, (error) => done(`${error}`))"
        return str(self._driver.execute_async_script(script))

    def run(self, script: str, *arguments: Any) -> Any:
        return self._driver.execute_script(script, *arguments)

    def one(self, css: str) -> WebElement:
        return self._driver.find_element("css selector", css)

    def shown(self, css: str) -> list[WebElement]:
        """Return the elements that can be seen."""
        return [element for element in self._driver.find_elements("css selector", css) if element.is_displayed()]

    def texts(self, css: str) -> list[str]:
        """Return the texts of the elements that can be seen, each on one line."""
        return [" ".join(element.text.split()) for element in self.shown(css)]

    def choose(self, css: str, text: str) -> None:
        Select(self.one(css)).select_by_visible_text(text)

    def click(self, css: str) -> None:
        self.one(css).click()

    def press(self, *keys: str) -> None:
        """Press keys where the focus is."""
        self._driver.switch_to.active_element.send_keys(*keys)

    def said(self, css: str) -> str:
        """Wait for an element to say something."""
        return str(WebDriverWait(self._driver, HANG_S).until(lambda _: self.one(css).text))

    def complaints(self) -> list[str]:
        """Return what the console holds since it was last asked."""
        return [str(entry["message"]) for entry in self._driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses asked for since it was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [str(params["request"]["url"]) for params in sent]

    def faults(self, css: str = "html") -> list[str]:
        """Return what axe calls serious or critical in a part of the page, and the rules that failed on it."""
        self.run(AXE)
        found: list[str] = self._driver.execute_async_script(_FAULTS, css)
        return found

    def faint(self) -> tuple[int, list[str]]:
        """Return how many texts of the page were looked at, and those with a contrast below 4.5 : 1 (WCAG 2.2, 1.4.3).

        axe leaves out text that it takes for covered, as most of that in tables.
        """
        found = self.run(_FAINT)
        return found["read"], found["faint"]

    def _devtools(self, command: str, **arguments: Any) -> None:
        self._driver.execute_cdp_cmd(command, arguments)
