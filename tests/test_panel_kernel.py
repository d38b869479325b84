"""The panel in a real kernel, by the messages a browser sends: JupyterLab's versions and Colab's.

Colab's ipywidgets 7.7.1, ipykernel 6.17.1 and IPython 7.34 cannot be installed beside JupyterLab's,
so that they get an environment of their own, once for all tests; skipped where that cannot be made.
"""

import os
import re
import subprocess
import sys
import time
from html import unescape
from queue import Empty

import environments
import panel_models
import pytest
from environments import COLAB
from jupyter_client import KernelManager

SETUP = """
import sys, time, types
import torch
torch.set_num_threads(1)
# A token takes this long at least, so that there is something to stop whatever the machine.
torch.nn.modules.module.register_module_forward_pre_hook(
    lambda module, _: time.sleep(0.02) if hasattr(module, "lm_head") else None
)
from alignlab.panel import Panel
if {colab}:
    sys.modules["google.colab"] = types.ModuleType("google.colab")
panel = Panel({sources!r}, ["how do I clean the filter", "my kettle"], log={log!r},
              max_new_tokens=400, temperature=1.0)
panel
"""


class Notebook:
    """A kernel, and the state of its widgets as a browser would have it."""

    def __init__(self, python, folder):
        self.manager = KernelManager()
        self.manager.kernel_cmd = [
            str(python),
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        self.manager.start_kernel(cwd=str(folder), env=os.environ | {"IPYTHONDIR": str(folder)})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.states, self.values, self.errors, self.displayed = {}, [], [], []

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def handle(self, message):
        content, kind = message["content"], message["msg_type"]
        if kind == "comm_open":
            self.states[content["comm_id"]] = dict(content["data"]["state"])
        elif kind == "comm_msg" and content["data"].get("method") == "update":
            state = self.states[content["comm_id"]]
            state |= content["data"]["state"]
            if "value" in content["data"]["state"]:
                self.values.append((self.name(state), state["value"]))
        elif kind in ("display_data", "update_display_data", "execute_result"):
            self.displayed.append((kind, content["data"]))
        elif kind == "error":
            self.errors.append("\n".join(content["traceback"]))

    @staticmethod
    def name(state):
        return " ".join(state.get("_dom_classes", ()))

    def until(self, done, seconds=180):
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, (self.status(), self.errors)
            try:
                self.handle(self.client.get_iopub_msg(timeout=0.2))
            except Empty:
                continue
            assert not self.errors, self.errors

    def run(self, code):
        sent = self.client.execute(code)
        idle = []

        def done():
            return bool(idle)

        handle = self.handle

        def watch(message):
            handle(message)
            if message["parent_header"].get("msg_id") == sent and message["msg_type"] == "status":
                idle.extend([1] * (message["content"]["execution_state"] == "idle"))

        self.handle = watch
        self.until(done)
        self.handle = handle

    def find(self, name):
        (comm,) = [i for i, state in self.states.items() if name in self.name(state).split()]
        return comm

    def send(self, name, data):
        content = {"comm_id": self.find(name), "data": data}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", content))

    def press(self, name):
        self.send(name, {"method": "custom", "content": {"event": "click"}})

    def text(self, name):
        return unescape(re.sub("<[^>]*>", "", self.states[self.find(name)]["value"]))

    def status(self):
        return self.text("al-status")

    def wait_for(self, beginning):
        self.until(lambda: self.status().startswith(beginning))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The interpreter of an environment with Colab's versions."""
    pins = [f"{name}=={version}" for name, version in COLAB.items()]
    return environments.with_packages(tmp_path_factory.mktemp("colab") / "venv", *pins)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    made = panel_models.make(tmp_path_factory.mktemp("models"))
    return {name: str(made[name]) for name in ("base", "first")}


@pytest.fixture(params=["here", "colab"])
def notebook(request, sources, tmp_path):
    """A kernel in which the panel is shown."""
    is_colab = request.param == "colab"
    python = request.getfixturevalue("colab") if is_colab else sys.executable
    kernel = Notebook(python, tmp_path)
    kernel.log = tmp_path / "votes.jsonl"
    kernel.colab = is_colab
    try:
        kernel.run(SETUP.format(colab=kernel.colab, sources=sources, log=str(kernel.log)))
        yield kernel
    finally:
        kernel.close()


@pytest.mark.slow
def test_colabs_versions_are_what_is_tested(colab):
    code = "import ipywidgets, ipykernel, IPython as i; print(ipywidgets.__version__, "
    code += "ipykernel.__version__, i.__version__)"
    out = subprocess.run([colab, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == [*COLAB.values()]


@pytest.mark.slow
def test_generate_stop_vote_undo(notebook):
    views = [data for kind, data in notebook.displayed if kind == "display_data"]
    assert "application/vnd.jupyter.widget-view+json" in views[0]
    assert "Here the responses stay" in views[1]["text/html"]

    notebook.send("al-max-new-tokens", {"method": "update", "state": {"value": 24}})
    notebook.press("al-generate")
    notebook.wait_for("Done.")
    # The texts came while it was generating, not all at the end.
    names = [name for name, _ in notebook.values]
    assert names.count("al-responses") >= 2
    before = names.index("al-status")
    assert "al-responses" in names[before : len(names) - names[::-1].index("al-status") - 1]

    notebook.send("al-max-new-tokens", {"method": "update", "state": {"value": 900}})
    shown = len(notebook.values)
    notebook.press("al-generate")
    notebook.until(lambda: len(notebook.values) > shown + 3)
    if notebook.colab:
        notebook.manager.interrupt_kernel()
    else:
        notebook.press("al-stop")
    notebook.wait_for("Stopped.")
    notebook.press("al-vote-a")
    notebook.wait_for("There is nothing to vote on")
    assert not notebook.log.exists()

    notebook.send("al-max-new-tokens", {"method": "update", "state": {"value": 24}})
    notebook.press("al-generate")
    notebook.wait_for("Done.")
    notebook.press("al-vote-a")
    notebook.wait_for("Saved: A is better.")
    assert len(notebook.log.read_text().splitlines()) == 1
    notebook.until(lambda: notebook.displayed[-1][0] == "update_display_data")
    assert "how do I clean the filter" in notebook.displayed[-1][1]["text/html"]
    notebook.press("al-undo")
    notebook.wait_for("Took back")
    assert len(notebook.log.read_text().splitlines()) == 2
    notebook.press("al-next")
    notebook.until(lambda: notebook.states[notebook.find("al-prompt")]["value"] == "my kettle")


@pytest.mark.slow
def test_an_error_stands_in_the_status_line(notebook):
    notebook.run("panel.engine.families[0].model.generate = lambda **_: 1 / 0")
    notebook.press("al-generate")
    notebook.wait_for("Error.")
    assert notebook.status().startswith("Error. ZeroDivisionError: division by zero")
    assert not notebook.log.exists()
