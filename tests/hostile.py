"""What students hand in that breaks, hangs, cheats or attacks, and what each is to get."""

from submissions import PERPLEXITY, STUB, TOKEN_NLL, WRONG, cells, check, code

RIGHT, BAD, BROKEN = "right", "wrong", "could not run"
MARK = "31415.926"  # seconds that the processes left behind would sleep, to know them by

ANY = """class Anything:
    shape, ndim = (), 0
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __bool__(self): return True
    def __float__(self): return 0.0
    def __sub__(self, other): return self
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __sub__
    def __abs__(self): return self
    def __getattr__(self, name): return self
    __hash__ = object.__hash__
"""
SILENT_CHECKS = """import sys, types, torch, alignlab.checks, alignlab.checks.common as common
def passes(*args, **kwargs):
    print("token_nll: right on all 21 cases.")
for module in (alignlab.checks, common):
    for name in list(vars(module)):
        if callable(getattr(module, name)) and name[:1] != "_":
            setattr(module, name, passes)
alignlab.checks.token_nll = checks.token_nll = passes
common._judge = common.verify = passes
common.excess = lambda *args: 0.0
sys.modules["alignlab.checks"] = types.SimpleNamespace(token_nll=passes, perplexity=passes)
"""
TAMPERED = """import builtins, sys, math, torch
torch.equal = torch.allclose = torch.testing.assert_close = lambda *args, **kwargs: True
builtins.AssertionError = type("Quiet", (Exception,), {})
builtins.abs = lambda value: 0
builtins.max = lambda *values, **more: 0
math.isfinite = lambda value: True
sys.excepthook = sys.unraisablehook = lambda *args: None
import gc
for thing in gc.get_objects():
    if isinstance(thing, dict):
        for key in ("points", "max_points"):
            if key in thing:
                thing[key] = 100
        if thing.get("status") in ("wrong", "could not run"):
            thing["status"] = "right"
"""
FORGED = """import json, os
line = json.dumps({"rows": [{"exercise": "token_nll_check", "points": 3, "max_points": 3,
                             "status": "right", "message": "right"}], "status": 0, "number": 1})
for descriptor in range(256):
    try: os.write(descriptor, line.encode() + b"\\n")
    except OSError: pass
"""
SOLUTION_HUNT = """import gc, glob, json, os
texts = []
for folder in (REFERENCE, ROOT, os.getcwd(), os.path.expanduser("~"), "/proc/1/root" + REFERENCE):
    for path in [folder, *glob.glob(folder + "/**/*.ipynb", recursive=True)]:
        try: texts += ["".join(cell["source"]) for cell in json.load(open(path))["cells"]]
        except (OSError, ValueError): pass
for thing in gc.get_objects():
    if isinstance(thing, (dict, list, tuple)):
        values = list(thing.values() if isinstance(thing, dict) else thing)
        texts += [text for text in values if isinstance(text, str)]
def token_nll(logits, targets):
    return logits.sum(-1)
for text in texts:
    if "def token_nll" in text and "log_softmax" in text and "glob" not in text:
        exec(text)
"""
GRADIENT_EXIT = (
    """import os
class Quits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, value): return value.clone()
    @staticmethod
    def backward(ctx, gradient): os._exit(0)
"""
    + TOKEN_NLL.replace("def token_nll", "def right_token_nll")
    + """
def token_nll(logits, targets):
    return Quits.apply(logits, right_token_nll(logits, targets).detach())
"""
)
WRONG_GRADIENT = TOKEN_NLL.replace(
    "return -found.where(counted, 0.0)",
    "found = -found.where(counted, 0.0)\n    return found.detach() + 2 * (found - found.detach())",
)
TRICKLE = """import gc, socket, time
def token_nll(logits, targets):
    sockets = [x for x in gc.get_objects() if isinstance(x, socket.socket)]
    data = (9000).to_bytes(8, "little") + (0).to_bytes(8, "little")
    while True:
        for channel in sockets:
            try: channel.sendall(data)
            except OSError: pass
        data = b" "
        time.sleep(0.05)
"""
CHILDREN = f"""import subprocess
for _ in range(50):
    subprocess.Popen(["sleep", "{MARK}"], start_new_session=True)
"""
MEMORY_TOGETHER = """import os, time
for _ in range(4):
    if not os.fork():
        data = bytearray(b"x") * (300 << 20)
        time.sleep(1000)
time.sleep(1000)
"""


def _answer(body: str, first: str = "") -> list[dict]:
    """Return a notebook whose first answer has this body, and whose second is right."""
    lines = "\n    ".join(body.splitlines())
    return cells(
        f"import os, sys, time\ndef token_nll(logits, targets):\n    {lines}\n", first=first
    )


# Name of the file: its cells, and the status of its two exercises.
CASES = {
    "right": (cells(), RIGHT, RIGHT),
    "stub": (cells(STUB), BAD, RIGHT),
    "wrong": (cells(WRONG), BAD, RIGHT),
    "syntax": (cells("def token_nll(logits, targets:\n    pass"), BROKEN, RIGHT),
    "detached": (cells(TOKEN_NLL.replace("logits.log", "logits.detach().log")), BAD, RIGHT),
    "wrong_gradient": (cells(WRONG_GRADIENT), BAD, RIGHT),
    "changes_a_tensor": (
        cells(TOKEN_NLL.replace("return", "targets[targets == -100] = 0\n    return")), BAD, RIGHT
    ),
    "changes_a_list": (
        cells(perplexity=PERPLEXITY.replace("return", "total_losses.reverse()\n    return")),
        RIGHT, BAD,
    ),
    "deleted_answer": (cells()[:2] + cells()[3:], BROKEN, RIGHT),
    "deleted_checks": ([c for c in cells() if "_check" not in str(c)], RIGHT, RIGHT),
    "emptied_check": (
        [*cells(WRONG)[:3], code("pass", "token_nll_check", grade=True, points=3), *cells()[4:]],
        BAD, RIGHT,
    ),
    "points_raised": ([*cells()[:3], check("token_nll", 300), *cells()[4:]], RIGHT, RIGHT),
    "duplicated_answer": ([*cells(WRONG), cells()[2]], RIGHT, RIGHT),
    "duplicated_check": ([*cells(), check("token_nll", 3), check("token_nll", 3)], RIGHT, RIGHT),
    "loop_in_answer": (_answer("while True: pass"), BROKEN, RIGHT),
    "loop_in_cell": (cells(TOKEN_NLL + "while True: pass"), BROKEN, RIGHT),
    "sleeps": (_answer("time.sleep(10000)"), BROKEN, RIGHT),
    "os_exit_in_answer": (_answer("os._exit(0)"), BROKEN, RIGHT),
    "os_exit_in_cell": (cells(TOKEN_NLL + "import os\nos._exit(0)"), BROKEN, RIGHT),
    "os_exit_in_backward": (cells(GRADIENT_EXIT), BROKEN, RIGHT),
    "sys_exit_in_answer": (_answer("sys.exit(0)"), BROKEN, RIGHT),
    "sys_exit_in_cell": (cells("import sys\nsys.exit(0)\n" + TOKEN_NLL), BROKEN, RIGHT),
    "sys_exit_at_start": (cells(first="import sys\nsys.exit(0)"), RIGHT, RIGHT),
    "raises_stop_iteration": (_answer("raise StopIteration"), BAD, RIGHT),
    "raises_its_own": (
        _answer("raise Quit", "class Quit(BaseException):\n    pass"), BAD, RIGHT
    ),
    "crashes": (_answer("import ctypes\nctypes.string_at(0)"), BROKEN, RIGHT),
    "stderr": (cells(first="import sys\nprint('careful', file=sys.stderr)"), RIGHT, RIGHT),
    "output_50_mb": (cells(first="for _ in range(500): print('x' * 100_000)"), RIGHT, RIGHT),
    "returns_50_mb": (_answer("return 'x' * (50 << 20)"), BROKEN, RIGHT),
    "returns_nesting": (
        _answer("value = []\nfor _ in range(100_000): value = [value]\nreturn value"), BAD, RIGHT
    ),
    "returns_anything": (
        cells(ANY + "    def __call__(self, *args): return 0\ntoken_nll = Anything()"), BAD, RIGHT,
    ),
    "equal_to_everything": (_answer("return Anything()", ANY), BAD, RIGHT),
    "a_tensor_of_another_class": (
        _answer("return torch.zeros(()).as_subclass(Sly)",
                "class Sly(torch.Tensor):\n    shape = property(lambda self: (1, 3))"),
        BROKEN, RIGHT,
    ),
    "no_function": (cells("token_nll = 7"), BAD, RIGHT),
    "memory_5_gb": (_answer("data = bytearray(5 << 30)"), BROKEN, RIGHT),
    "tensor_5_gb": (_answer("return torch.ones(5 << 30, dtype=torch.uint8)"), BAD, RIGHT),
    "memory_together": (cells(TOKEN_NLL + MEMORY_TOGETHER), BROKEN, RIGHT),
    "children_50": (cells(first=CHILDREN), RIGHT, RIGHT),
    "children_100": (cells(first=CHILDREN * 2 + "while True: pass"), RIGHT, RIGHT),
    "overwrites_checks": (cells(WRONG, first=SILENT_CHECKS), BAD, RIGHT),
    "tampers_with_torch": (cells(WRONG, first=TAMPERED), BAD, RIGHT),
    "tampers_when_called": (_answer(SILENT_CHECKS + TAMPERED + "return logits"), BAD, RIGHT),
    "prints_a_pass": (
        cells(WRONG, first="print('token_nll: right on all 21 cases.', flush=True)"), BAD, RIGHT
    ),
    "forges_messages": (cells(WRONG, first=FORGED), BAD, RIGHT),
    "forges_when_called": (_answer(FORGED + "return logits"), BROKEN, RIGHT),
    "trickles": (cells(TRICKLE), BROKEN, RIGHT),
    "hunts_for_the_solution": (cells(SOLUTION_HUNT), BAD, RIGHT),
    "kills": (_answer("if os.getpid() == 1: os.kill(-1, 9)\nreturn logits"), BAD, RIGHT),
}  # fmt: skip
