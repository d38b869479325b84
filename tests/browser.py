"""For tests and screenshots that need a browser: JupyterLab in a scratch folder, and Chromium."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    sync_playwright = None

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 300_000  # milliseconds for what a busy machine has to do: import torch, start a kernel


def require() -> None:
    """Skip the test where there is no browser, saying what is missing."""
    if sync_playwright is None:
        pytest.skip("needs playwright (pip install playwright)")
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian: apt-get install chromium)")


@contextlib.contextmanager
def lab(folder: Path):
    """Run JupyterLab in a folder, with nothing of this machine's own settings; yield its address.

    Yields:
        A function that returns the address of a notebook of the folder.
    """
    home = folder / "home"
    home.mkdir()
    settings = home / "lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    # Else a question about news covers a part of the page.
    asked = '{"fetchNews": "false", "checkForUpdates": false}'
    (settings / "notification.jupyterlab-settings").write_text(asked)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    places = ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]  # fmt: skip
    environment = os.environ | dict.fromkeys(places, str(home)) | {"OMP_NUM_THREADS": "1"}
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", server, folder / "lab.log")
        yield lambda name: f"http://127.0.0.1:{port}/doc/tree/{name}?token={token}&reset"
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.3)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def chromium(width: int = 1200, height: int = 2600):
    """Start Chromium and yield an empty page."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE)
            yield page
        finally:
            browser.close()


def write_notebook(path: Path, cells: list[str]) -> None:
    """Write a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, path)


KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
IS_READY = f"() => {KERNEL}?.connectionStatus === 'connected' && {KERNEL}?.status === 'idle'"


def run_all(page, address: str) -> None:
    """Open a notebook, run all its cells, and return when the kernel has nothing left to do."""
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_function(IS_READY, timeout=PATIENCE)
    run = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }"
    page.evaluate(run)
    last = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").last
    page.wait_for_function(
        "element => /\\d/.test(element.textContent)", arg=last.element_handle(), timeout=PATIENCE
    )
    page.wait_for_function(IS_READY, timeout=PATIENCE)
