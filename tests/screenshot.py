"""The picture of the panel in the README: ``python -m tests.screenshot OUT.png NAME=MODEL ...``.

The models are asked in JupyterLab, and two votes are cast, as in the browser tests.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import browser

CELL = """
from alignlab.panel import Panel
from alignlab.compare import world_prompts
from alignlab.world import World

models = {models!r}
Panel(models, {prompts}, seed=1, max_new_tokens=96)
"""
PROMPTS = "[e for e in world_prompts(World(0), 40) if e.task == 'explain']"


def take(models: dict[str, str], out: Path) -> None:
    """Ask the models, vote twice, open the token view, and write what is to be seen."""
    with tempfile.TemporaryDirectory(prefix="alignlab-screenshot-") as name:
        folder = Path(name)
        browser.write_notebook(
            folder / "panel.ipynb", [CELL.format(models=models, prompts=PROMPTS)]
        )
        with browser.lab(folder) as address, browser.chromium(width=1000, height=2400) as page:
            browser.run_all(page, address("panel.ipynb"))
            panel = page.locator(".al-panel")
            for choice in ("a", "b"):
                panel.locator(".al-generate").click()
                panel.locator(".al-status").get_by_text("Done.").wait_for()
                panel.locator(f".al-vote-{choice}").click()
                panel.locator(".al-status").get_by_text("Saved").wait_for()
                if choice == "a":
                    panel.locator(".al-next").click()
                    panel.locator(".al-item").get_by_text("Item 2").wait_for()
            panel.locator(".al-tokens").click()
            page.locator(".al-token-view").first.wait_for()
            out.parent.mkdir(parents=True, exist_ok=True)
            panel.screenshot(path=out)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Take the README's picture of the panel.")
    parser.add_argument("out", type=Path, help="the PNG file to write")
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL", help="what to compare")
    args = parser.parse_args()
    pairs = (model.split("=", 1) for model in args.models)
    take({name: str(Path(m).resolve()) if Path(m).exists() else m for name, m in pairs}, args.out)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
