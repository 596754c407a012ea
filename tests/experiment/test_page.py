"""The report in a real browser: it can be pointed at, it is light and dark, and it asks for nothing from elsewhere."""

import json
import re
import shutil
import subprocess
from html import unescape

import numpy as np
import pytest
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt-get install chromium")

PROBE = """
<script>
const plot = document.querySelector(".plot");
const curve = JSON.parse(plot.querySelector("script").textContent)[0];
const box = plot.getBoundingClientRect();
const point = (type, x, y) => plot.dispatchEvent(new PointerEvent(
  type, {clientX: box.left + x / 1000 * box.width, clientY: box.top + y / 1000 * box.height}));
const tip = plot.querySelector(".tip");
const dot = plot.querySelector(".dot");
const answer = {curve, width: box.width, before: tip.hidden};
point("pointermove", curve.at[2], curve.at[3]);
answer.shown = [!tip.hidden, !dot.hidden, tip.innerText];
answer.dot = [parseFloat(dot.style.left) / box.width * 1000, parseFloat(dot.style.top) / box.height * 1000];
answer.right = tip.getBoundingClientRect().right - box.left;
point("pointermove", 2, 2);
answer.away = tip.hidden;
point("pointermove", curve.at[2], curve.at[3]);
point("pointerleave", 0, 0);
answer.left = tip.hidden && dot.hidden;
answer.loaded = [...document.images].filter(image => image.naturalWidth > 0).length;
answer.images = document.images.length;
const requests = performance.getEntriesByType("resource").map(one => one.name);
answer.requests = requests.filter(name => !name.startsWith("data:"));
answer.dark = matchMedia("(prefers-color-scheme: dark)").matches;
answer.background = getComputedStyle(document.body).backgroundColor;
answer.scroll = document.documentElement.scrollWidth <= document.documentElement.clientWidth;
document.title = JSON.stringify(answer);
</script></body>
"""


@pytest.fixture(scope="module")
def page(tiny_report):
    return tiny_report.page.read_text(encoding="utf-8")


def opened(page, folder, *options, width=1200):
    """Open the page, point at its first figure, and return what was seen there, and a screenshot."""
    path, shot = folder / "page.html", folder / "shot.png"
    path.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        *options,
    ]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "--hide-scrollbars"]
    command += [f"--screenshot={shot}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert found, done.stderr
    with Image.open(shot) as picture:
        return json.loads(unescape(found[1])), np.asarray(picture.convert("L"))


def test_pointing_at_a_curve_shows_its_values(page, tmp_path):
    seen, pixels = opened(page, tmp_path)
    curve = seen["curve"]
    assert seen["before"] is True
    shown, dotted, text = seen["shown"]
    assert shown
    assert dotted
    assert f"{curve['label']} {curve['texts'][1]}" in text.split("\n")
    assert seen["dot"] == pytest.approx(curve["at"][2:4], abs=0.5)
    assert seen["right"] <= seen["width"] + 1, "the values stay within the figure"
    assert seen["away"], "nothing is near the corner"
    assert seen["left"], "nothing is left behind"
    assert seen["images"] == seen["loaded"] == 7
    assert seen["requests"] == []
    assert seen["dark"] is False
    assert pixels.std() > 5
    assert np.median(pixels) > 200


def test_a_dark_page_is_dark(page, tmp_path):
    seen, pixels = opened(page, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert seen["dark"] is True
    assert seen["background"] == "rgb(13, 17, 23)"
    assert np.median(pixels) < 60
    assert pixels.std() > 5


def test_a_narrow_page_does_not_scroll_sideways(page, tmp_path):
    seen, _ = opened(page, tmp_path, width=500)
    assert seen["scroll"]
