"""Write the bundled model's card from what was measured: ``python -m tests.model_card``.

Every figure about the model comes from its ``pretrain.json`` and ``scores.json``. A test proves
that the card in the package is what this module writes.
"""

import json
from pathlib import Path
from statistics import mean

from alignlab.models import BUNDLED

TEMPLATE = Path(__file__).with_name("model_card.md")
ROWS = {
    "known_fact": "known products, exact fact",
    "known_fact_new_wording": "the same, wordings not in the SFT data",
    "unknown_made_up": "unknown products, answer made up",
    "contract": "contract summary, three fields right",
    "contract_parties": "the same, both parties named and no other",
    "instructions": "verifiable instructions kept",
    "win_rate": "true win rate against SFT",
    "ends": "responses that end by themselves",
}


def _cell(rows: list[dict], key: str) -> str:
    values = [row[key]["value"] for row in rows if key in row]
    if not values:
        return "–"
    return f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _base_cell(row: dict | None) -> str:
    return f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})" if row else "–"


def _seconds(rows: list[dict]) -> str:
    values = [row["seconds"] for row in rows]
    return f"{min(values):.0f} to {max(values):.0f}"


def card(facts: dict, scores: dict) -> str:
    """Return the card's Markdown.

    Args:
        facts: what ``pretrain.json`` holds.
        scores: what ``python -m tests.score_table`` wrote.
    """
    settings, train = facts["settings"], facts["train"]
    stages = {
        name: [seed[name] for seed in scores["seeds"].values()] for name in ("SFT", "SFT+DPO")
    }
    table = [
        f"| {title} (`{key}`) | {_base_cell(scores['base'].get(key))} "
        f"| {_cell(stages['SFT'], key)} | {_cell(stages['SFT+DPO'], key)} |"
        for key, title in ROWS.items()
    ]
    statistics = [f"| {k} | {v} |" for k, v in facts["statistics_of_2000_documents"].items()]
    return TEMPLATE.read_text().format(
        millions=facts["parameters"] / 1e6,
        layers=settings["layers"],
        width=settings["hidden_size"],
        heads=settings["heads"],
        vocab=settings["vocab_size"],
        tokens=train["tokens"],
        documents=train["documents"],
        characters=train["characters"],
        steps=train["tokens"] // (settings["batch_size"] * settings["context"]),
        batch=settings["batch_size"],
        context=settings["context"],
        lr=settings["learning_rate"],
        embedding_lr=settings["embedding_lr"],
        finish_tokens=facts["finish"]["tokens"],
        finish_share=settings["finish_share"],
        held_out_loss=facts["held_out_loss"],
        held_out_tokens=facts["held_out"]["tokens"],
        floor=facts["held_out"]["nats_per_token"],
        statistics="\n".join(statistics),
        split=scores["split"],
        eval_seed=scores["eval_seed"],
        seeds=len(scores["seeds"]),
        scores="\n".join(table),
        sft_seconds=_seconds(stages["SFT"]),
        dpo_seconds=_seconds(stages["SFT+DPO"]),
    )


def bundled_card() -> str:
    """Return the card of the bundled model."""
    facts, scores = (
        json.loads((BUNDLED / name).read_text()) for name in ("pretrain.json", "scores.json")
    )
    return card(facts, scores)


if __name__ == "__main__":
    (BUNDLED / "README.md").write_text(bundled_card())
