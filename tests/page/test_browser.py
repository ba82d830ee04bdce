"""The page in a real browser: Chromium, without a window."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from netspec.cli import main
from netspec.page.load_page import load_page, page_or_faults
from netspec.page.serve_page import PageServer
from netspec.page.write_page import page_html
from tests.page.resnet import resnet_text

DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not (DRIVER and BROWSER), reason="chromium and chromedriver are not installed"
)
NET = """name: "small"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "left" type: "Pooling" bottom: "conv" top: "left"
  pooling_param { kernel_size: 7 } }
layer { name: "right" type: "InnerProduct" bottom: "conv" top: "right"
  inner_product_param { num_output: 4 } }
layer { name: "flat" type: "Flatten" bottom: "left" top: "flat" }
layer { name: "sum" type: "Eltwise" bottom: "flat" bottom: "right" top: "sum" }
"""


class Page:
    """What tests ask of a page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get("about:blank")  # a new document, whatever the fragment
        self.driver.get(url)
        self.wait("return document.documentElement.dataset.ready")

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def wait(self, script: str) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, 10).until(lambda driver: driver.execute_script(script))

    def keys(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    @property
    def chosen(self) -> str:
        """The name of the selected layer, from the inspector."""
        return str(self.run("return document.querySelector('#inspector h2')?.textContent ?? ''"))

    def require_quiet(self) -> None:
        """No error and no warning stands in the console."""
        assert [entry["message"] for entry in self.driver.get_log("browser")] == []


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    shown = Page(driver)
    yield shown
    shown.require_quiet()


@pytest.fixture
def small(tmp_path: Path) -> str:
    return written(tmp_path, NET)


def written(folder: Path, text: str) -> str:
    (folder / "net.prototxt").write_text(text)
    (folder / "net.html").write_text(page_html(load_page(folder / "net.prototxt").data))
    return (folder / "net.html").as_uri()


def test_a_click_selects_on_every_side(page: Page, small: str) -> None:
    page.open(small)
    page.click("#canvas [data-layer='1']")
    assert page.chosen == "conv"
    assert page.run("return location.hash") == "#conv"
    assert page.run("return document.querySelector('#layers tr.chosen').dataset.layer") == "1"
    marked = "return [...document.querySelectorAll('#source li.chosen')].map(l => l.dataset.line)"
    assert page.run(marked) == ["4", "5"]
    page.click("#source [data-line='7']")
    assert page.chosen == "left"
    page.click("#layers tbody tr:nth-child(3)")
    assert page.chosen == "relu"
    assert page.run("return document.querySelector('.row.chosen').dataset.layer") == "2"


def test_the_address_names_the_layer(page: Page, small: str) -> None:
    page.open(f"{small}#right")
    assert page.chosen == "right"


def test_keys_search_walk_and_go_back(page: Page, small: str) -> None:
    page.open(small)
    page.keys("/", "pool", "\ue007")  # Enter
    assert page.chosen == "left"
    page.keys("\ue00c")  # Escape leaves the search
    page.keys("\ue014")  # right, to the layer beside it
    assert page.chosen == "right"
    page.keys("\ue013")  # up
    assert page.chosen == "relu"
    page.keys("\ue015")  # down
    assert page.chosen == "left"
    page.keys("\ue00c")
    assert page.chosen == "relu"


def test_every_layer_can_be_reached_and_has_a_name(page: Page, small: str) -> None:
    page.open(small)
    rows = "[...document.querySelectorAll('#canvas [role=button]')]"
    assert page.run(f"return {rows}.every(row => row.tabIndex === 0)")
    labels = page.run(f"return {rows}.map(row => row.getAttribute('aria-label'))")
    assert "conv, Convolution, 3×3, 1×4×7×7" in labels or any(
        str(label).startswith("conv, Convolution") for label in labels
    )
    unnamed = "return [...document.querySelectorAll('button')].filter(b => !(b.textContent.trim()))"
    assert page.run(unnamed) == []


def test_the_table_sorts(page: Page, small: str) -> None:
    page.open(small)
    first = "return document.querySelector('#layers tbody td').textContent"
    page.click("#layers th:nth-child(4) button")
    assert page.run(first) == "right"  # the most parameters
    page.click("#layers th:nth-child(4) button")
    assert page.run(first) != "right"
    page.click("#layers th:nth-child(1) button")
    assert page.run(first) == "conv"


def test_the_theme_changes(page: Page, small: str) -> None:
    page.open(small)
    color = "return getComputedStyle(document.body).backgroundColor"
    before = page.run(color)
    page.click("#theme")
    assert page.run(color) != before


def test_blocks_of_a_deep_net_fold_and_open(page: Page, tmp_path: Path) -> None:
    page.open(written(tmp_path, resnet_text(152)))
    count = "return document.querySelectorAll('#canvas .row').length"
    assert page.run("return document.querySelectorAll('#canvas .block').length") == 50
    shown = page.run(count)
    page.click("#canvas .block[data-block='1']")
    assert page.chosen == "res2b_branch2a"
    assert page.run(count) > shown
    page.click("#fold")
    page.click("#fold")
    assert page.run(count) == shown


def drawn(folder: Path, text: str, *options: str) -> str:
    """A page that the command writes."""
    (folder / "net.prototxt").write_text(text)
    out = folder / "net.html"
    assert main(["draw", str(folder / "net.prototxt"), str(out), *options]) == 0
    return out.as_uri()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_first_theme_may_be_given(page: Page, tmp_path: Path, theme: str) -> None:
    page.open(drawn(tmp_path, NET, "--theme", theme))
    shown = "return document.documentElement.dataset.theme"
    assert page.run(shown) == theme
    page.click("#theme")
    assert page.run(shown) != theme


def test_the_first_folding_may_be_given(page: Page, tmp_path: Path) -> None:
    blocks = "return document.querySelectorAll('#canvas .block').length"
    for fold, found in (("none", 0), ("auto", 16), ("all", 16)):
        page.open(drawn(tmp_path, resnet_text(50), "--fold", fold))
        assert page.run(blocks) == found
    page.click("#fold")
    assert page.run(blocks) == 0


def test_the_shapes_may_be_left_out(page: Page, tmp_path: Path) -> None:
    labels = "return [...document.querySelectorAll('#canvas .label')].map(l => l.textContent)"
    page.open(drawn(tmp_path, NET))
    assert "3×9×9" in page.run(labels)
    page.open(drawn(tmp_path, NET, "--no-shapes"))
    assert page.run(labels) == []


def test_a_layer_in_a_folded_block_is_found(page: Page, tmp_path: Path) -> None:
    page.open(f"{written(tmp_path, resnet_text(50))}#bn4c_branch2b")
    assert page.chosen == "bn4c_branch2b"
    assert page.run("return document.querySelector('.row.chosen') !== null")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, PageServer]]:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    server = PageServer(str(path), lambda: page_or_faults(path, lambda: load_page(path)))
    for work in (server.watch, server.serve_forever):
        threading.Thread(target=work, daemon=True).start()
    yield path, server
    server.shutdown()
    server.close()


def test_an_edit_is_shown_an_error_appears_and_goes(
    page: Page, served: tuple[Path, PageServer]
) -> None:
    path, server = served
    page.open(server.url)
    page.click("#canvas [data-layer='1']")
    path.write_text(NET.replace("num_output: 4", "num_output: 7"))
    page.wait("return document.querySelector('#inspector').textContent.includes('1×7×7×7')")
    assert page.chosen == "conv"
    path.write_text(NET.replace("kernel_size: 3", "kernel_sise: 3"))
    page.wait("return document.querySelector('#faults .errors') !== null")
    fault = page.run("return document.querySelector('#faults').textContent")
    assert "line 5" in str(fault)
    assert "kernel_size" in str(fault)  # the hint
    assert page.run("return document.querySelectorAll('#canvas .row').length") == 7
    marked = page.run("return document.querySelector('#source li.error').textContent")
    assert "kernel_sise" in str(marked)
    path.write_text(NET)
    page.wait("return document.querySelector('#faults').hidden")
    page.wait("return document.querySelector('#inspector').textContent.includes('1×4×7×7')")


def test_the_server_is_for_this_machine_alone(served: tuple[Path, PageServer]) -> None:
    _, server = served

    def status(path: str, host: str) -> int:
        connection = HTTPConnection("127.0.0.1", server.server_port)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    own = f"127.0.0.1:{server.server_port}"
    assert status("/", own) == 200
    assert status("/", "example.org") == 403
    assert status("/../net.prototxt", own) == 404
    assert status("/net.prototxt", own) == 404
