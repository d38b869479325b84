"""The command line: ``alignlab VERB ...``. Heavy imports wait until a verb runs."""

import json
import sys
from collections import Counter
from pathlib import Path

from alignlab.flags import TRAINING, build_parser, trl_options
from alignlab.options import RunOptions
from alignlab.whole import write_whole


def _train(args, extra: list[str]) -> None:
    from accelerate import PartialState

    if args.verb == "sft":
        from trl import SFTConfig as Config

        from alignlab.data import sft_dataset as read
        from alignlab.sft import sft as run
    elif args.verb == "dpo":
        from trl import DPOConfig as Config

        from alignlab.data import preference_dataset as read
        from alignlab.dpo import dpo as run
    else:
        from trl import RewardConfig as Config

        from alignlab.data import preference_dataset as read
        from alignlab.reward import reward as run
    from alignlab.models import profile

    chosen = profile(args.profile)
    named = ("verb", "model", "data", "output", "profile")
    given = {name: value for name, value in vars(args).items() if name not in named}
    options = chosen.options | trl_options(extra, Config) | given
    folder = run(
        args.model or chosen.model, read(args.data, seed=options.get("seed", RunOptions.seed)),
        args.output, data_name=args.data, **options,
    )  # fmt: skip
    if PartialState().is_main_process:
        print(f"wrote {folder}")


def _sweep(args, extra: list[str]) -> None:
    from alignlab.sweep import sweep, table

    given = {"--model": args.model, "--data": args.data}
    words = [word for flag, value in given.items() if value for word in (flag, value)]
    print(table(sweep(words + extra, args.betas, args.seeds, args.output)))


def _eval(args) -> None:
    from alignlab.evaluate import evaluate, format_scores
    from alignlab.models import load_model, load_tokenizer
    from alignlab.world import World

    tokenizer = load_tokenizer(args.model)
    scores = evaluate(
        load_model(args.model), tokenizer, World(0),
        reference=load_model(args.reference) if args.reference else None,
        eval_seed=args.eval_seed, split=args.split,
    )  # fmt: skip
    print(format_scores({str(args.model): scores}))
    if args.json:
        table = {name: score.as_dict() for name, score in scores.items()}
        write_whole(args.json, json.dumps(table, indent=1) + "\n")


def _generate(args) -> None:
    from alignlab.data import read_prompts
    from alignlab.generate import generate
    from alignlab.models import load_model, load_tokenizer

    prompts = read_prompts(args.prompts)
    responses = generate(
        load_model(args.model), load_tokenizer(args.model), prompts, temperature=args.temperature,
        max_new_tokens=args.max_new_tokens, seed=args.seed, progress=True,
    )  # fmt: skip
    rows = (json.dumps({"prompt": p, "response": r}) for p, r in zip(prompts, responses))
    write_whole(args.output, "".join(row + "\n" for row in rows))
    print(f"wrote {args.output}")


def _compare(args) -> None:
    from alignlab.compare import respond, to_html
    from alignlab.data import read_prompts

    sources = {Path(model).name: model for model in args.models}
    if len(sources) < len(args.models):
        sources = {model: model for model in args.models}
    comparison = respond(
        sources, read_prompts(args.prompts), temperature=args.temperature,
        max_new_tokens=args.max_new_tokens, seed=args.seed,
    )  # fmt: skip
    to_html(comparison, args.html, "Side by side")
    print(f"wrote {args.html}")


def _votes(args) -> None:
    from alignlab.vote_statistics import report, statistics
    from alignlab.votes import export, load

    log = load(args.log)
    for notice in log.notices:
        print(notice, file=sys.stderr)
    found = statistics(log.votes)
    written = export(log.votes, args.export, args.held_out) if args.export else None
    if args.json:
        print(json.dumps(found.as_dict() | ({"export": written} if written else {}), indent=1))
        return
    print(report(found))
    if written:
        counts = ", ".join(f"{reason} {n}" for reason, n in written.items())
        print(f"wrote {args.export}: {counts}")


def _pretrain(args) -> None:
    from alignlab.pretrain import pretrain
    from alignlab.pretraining import PretrainConfig

    given = {name: getattr(args, name) for name in ("tokens", "seed")}
    config = PretrainConfig(**{name: value for name, value in given.items() if value is not None})
    print(f"wrote {pretrain(args.output, config)}")


def _demo(args) -> None:
    from alignlab.demo import demo

    demo(args.out, seed=args.seed)


def _grade(args) -> None:
    from alignlab.grading.batch import grade
    from alignlab.grading.sandbox import Limits

    rows = grade(
        args.paths, args.out, json_file=args.json, solutions=args.solutions, jobs=args.jobs,
        limits=Limits(seconds=args.time_limit), overwrite=args.overwrite,
    )  # fmt: skip
    count = Counter(row["status"] for row in rows)
    shown = ", ".join(f"{number} {status}" for status, number in count.items())
    print(f"wrote {args.out}: {len({row['submission'] for row in rows})} notebooks; {shown}")


def _doctor(args) -> None:
    from alignlab.doctor import doctor

    report = doctor()
    if args.json:
        print(json.dumps(report, indent=1))
        return
    for name, value in report.items():
        for key, line in value.items() if isinstance(value, dict) else [(name, value)]:
            print(f"{key:24} {line}")


def main(argv: list[str] | None = None) -> int:
    """Run one verb; errors that a user can mend end in one line, without a traceback."""
    args, extra = build_parser().parse_known_args(argv)
    if extra and args.verb not in (*TRAINING, "sweep"):
        build_parser().error(f"unknown arguments: {' '.join(extra)}")
    try:
        if args.verb in TRAINING:
            _train(args, extra)
        elif args.verb == "sweep":
            _sweep(args, extra)
        else:
            globals()[f"_{args.verb}"](args)
    except (ValueError, FileNotFoundError, OSError) as error:
        print(f"alignlab {args.verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"alignlab {args.verb}: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
