"""Several processes: torchrun and the files of alignlab/accelerate, two processes on a CPU.

Launchers run this file in place of the command: it is ``alignlab ARGUMENTS``, and reports in which
world its process trained and what it wrote.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_model
import torch
import yaml
from accelerate import PartialState
from accelerate.commands import launch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils import launch as environments
from safetensors.torch import load_file
from torch.distributed.run import get_args_parser
from transformers import Trainer

from alignlab.cli import main
from alignlab.flags import build_parser
from alignlab.models import load_model

FILES = Path(__file__).resolve().parents[1] / "alignlab" / "accelerate"
NAMES = ("ddp.yaml", "fsdp2.yaml", "zero3.yaml")
ROWS, BATCH = 32, 8
COMMANDS = {
    "sft": ["sft", "--model", "model", "--data", "demonstrations.jsonl"],
    "sft --full": [
        "sft", "--full", "--model", "model", "--data", "demonstrations.jsonl",
        "--learning-rate", "5e-4",
    ],
    "dpo": ["dpo", "--model", "start", "--data", "comparisons.jsonl"],
    "dpo --full": ["dpo", "--full", "--model", "start", "--data", "comparisons.jsonl"],
}  # fmt: skip
LAUNCHED = [
    ("sft", "torchrun"), ("dpo", "torchrun"), ("dpo --full", "ddp.yaml"),
    ("sft --full", "fsdp2.yaml"), ("dpo", "fsdp2.yaml"), ("sft --full", "zero3.yaml"),
]  # fmt: skip


# --- What the launchers start


def alignlab_in_one_process(arguments: list[str]) -> int:
    """Run the command, and write a report into the folder ``REPORTS`` once it has ended."""
    report, written, train = {}, set(), Trainer.train

    def watch(event: str, args: tuple) -> None:
        writes = event in ("os.mkdir", "os.rename", "shutil.rmtree") or (
            event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if writes and not isinstance(args[0], int):
            written.add(os.path.abspath(os.fsdecode(args[0])))

    def train_and_note(trainer, *args, **kwargs):
        result = train(trainer, *args, **kwargs)
        report["model"] = type(trainer.model_wrapped).__name__
        return result

    sys.addaudithook(watch)
    Trainer.train = train_and_note
    if "FSDP_VERSION" in os.environ:
        _take_for_gpus()
    code = main(arguments)
    report |= {"world_size": torch.distributed.get_world_size(), "written": sorted(written)}
    path = Path(os.environ["REPORTS"]) / f"{torch.distributed.get_rank()}.json"
    path.write_text(json.dumps(report))
    torch.distributed.destroy_process_group()
    return code


def _take_for_gpus() -> None:
    """Make accelerate shard over processes on a CPU too, where it leaves FSDP out."""
    begin = PartialState.__init__

    def begin_as_gpu(state, *args, **kwargs):
        fresh = not state.initialized
        begin(state, *args, **kwargs)
        if fresh and state.distributed_type == DistributedType.MULTI_CPU:
            state.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = begin_as_gpu


# --- The same losses


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, its SFT run and rows, and single runs as they are asked for."""
    folder = tmp_path_factory.mktemp("distributed")
    shutil.copytree(tiny_model.folder(), folder / "model")
    tiny_model.demonstrations(ROWS).to_json(folder / "demonstrations.jsonl")
    tiny_model.comparisons(ROWS).to_json(folder / "comparisons.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(torch.cuda, "is_available", lambda: False)
        assert main([*COMMANDS["sft"], "--output", "start", *_layout(BATCH)]) == 0
        yield folder


def _layout(batch: int, accumulation: int = 1) -> list[str]:
    options = {
        "per-device-train-batch-size": batch, "gradient-accumulation-steps": accumulation,
        "num-train-epochs": 1, "warmup-steps": 1,
    }  # fmt: skip
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def _launch(launcher: str, arguments: list[str], folder: Path) -> tuple[list[dict], str, str]:
    """Run the command in two processes; return their reports, and what they printed and warned."""
    if launcher == "torchrun":
        start = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    else:
        start = ["accelerate.commands.launch", "--config_file", str(FILES / launcher)]
        start += ["--num_processes", "2"]
    reports = folder / "reports"
    reports.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", *start, __file__, *arguments], cwd=folder.parent, timeout=900,
        env=os.environ
        | {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "REPORTS": str(reports)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    reports = [json.loads((reports / f"{rank}.json").read_text()) for rank in (0, 1)]
    return reports, done.stdout, done.stderr


@pytest.fixture(scope="module", params=LAUNCHED, ids=" by ".join)
def trained(request, place):
    """One command run by one process, by one that accumulates, and by two."""
    name, launcher = request.param
    if launcher == "zero3.yaml":
        pytest.importorskip("deepspeed")
    folder = place / f"{name.replace(' ', '')}-{launcher}"
    folder.mkdir()
    runs = {layout: folder / layout for layout in ("1 x 8", "1 x 4, twice", "2 x 4")}
    command = [*COMMANDS[name], "--output"]
    assert main([*command, str(runs["1 x 8"]), *_layout(8)]) == 0
    assert main([*command, str(runs["1 x 4, twice"]), *_layout(4, 2)]) == 0
    reports, printed, warned = _launch(
        launcher, [*command, str(runs["2 x 4"]), *_layout(4)], folder
    )
    return SimpleNamespace(
        launcher=launcher, runs=runs, reports=reports, printed=printed, warned=warned
    )


@pytest.mark.slow
def test_two_processes_log_the_losses_of_one(trained):
    whole, *others = (tiny_model.metrics(run) for run in trained.runs.values())
    assert [row["step"] for row in whole] == list(range(1, ROWS // BATCH + 1))
    assert abs(whole[-1]["loss"] - whole[0]["loss"]) > 1e-3  # what is compared is no constant
    for rows in others:
        for name in ("step", "learning_rate", "num_tokens"):
            assert [row[name] for row in rows] == [row[name] for row in whole]
        losses, norms = ([row[name] for row in rows] for name in ("loss", "grad_norm"))
        assert losses == pytest.approx([row["loss"] for row in whole], rel=0, abs=1e-5)
        # Adam takes the same step after a sum as after a mean; the norm tells them apart.
        assert norms == pytest.approx([row["grad_norm"] for row in whole], rel=1e-4)


@pytest.mark.slow
def test_two_processes_save_the_weights_of_one(trained):
    whole, two = (
        load_file(*trained.runs[layout].rglob("*.safetensors")) for layout in ("1 x 8", "2 x 4")
    )
    # The names are the same as well: FSDP gathers a tied weight twice, and it is saved once.
    # Adam's steps are as large as the learning rate: a wrong one is more than 5e-4 off.
    torch.testing.assert_close(two, whole, rtol=0, atol=2e-4)


@pytest.mark.slow
def test_the_world_has_two_processes(trained):
    assert [report["world_size"] for report in trained.reports] == [2, 2]
    worlds = [json.loads((run / "environment.json").read_text()) for run in trained.runs.values()]
    assert [world["processes"] for world in worlds] == [1, 1, 2]
    wrappers = {"fsdp2.yaml": "FSDP", "zero3.yaml": "DeepSpeedEngine"}
    for report in trained.reports:
        assert report["model"].startswith(wrappers.get(trained.launcher, "DistributedDataParallel"))


@pytest.mark.slow
def test_only_the_first_process_writes_the_run(trained):
    run = trained.runs["2 x 4"]
    part = str(run.with_name(run.name + ".part"))
    first, second = (
        [path for path in report["written"] if path.startswith(str(run))]
        for report in trained.reports
    )
    assert {f"{part}/{name}" for name in ("config.json", "environment.json")} <= set(first)
    # Its random state is all that the second adds, to checkpoints that a finished run drops.
    assert [path for path in second if not path.startswith(f"{part}/checkpoints")] == []
    assert {path.name for path in run.parent.iterdir()} == {*trained.runs, "reports"}
    one = trained.runs["1 x 8"]
    files, expected = ({str(path.relative_to(r)) for path in r.rglob("*")} for r in (run, one))
    assert files == expected
    assert re.findall(r"wrote .*", trained.printed) == [f"wrote {run}"]


@pytest.mark.slow
def test_no_process_looks_for_parameters_that_take_no_part(trained):
    assert "find_unused_parameters" not in trained.warned


@pytest.mark.slow
def test_two_processes_write_a_model_that_one_loads(trained):
    whole, two = (load_model(trained.runs[layout]) for layout in ("1 x 8", "2 x 4"))
    head, table = two.get_output_embeddings().weight, two.get_input_embeddings().weight
    assert head.data_ptr() == table.data_ptr()
    ids = torch.tensor([[5, 9, 200, 31]])
    with torch.inference_mode():
        torch.testing.assert_close(two(ids).logits, whole(ids).logits, rtol=0, atol=2e-2)


# --- A launcher that starts fewer processes than it was asked for


@pytest.mark.parametrize(("processes", "code"), [(2, 1), (1, 0)])
def test_a_launcher_that_starts_one_process_for_two_is_found_out(
    place, tmp_path, monkeypatch, capsys, processes, code
):
    args = _launcher_arguments("--cpu", "--num_processes", str(processes), "alignlab")
    _, environment = environments.prepare_simple_launcher_cmd_env(args)
    for name in environment.keys() - os.environ.keys():
        monkeypatch.setenv(name, environment[name])
    run = tmp_path / "run"
    assert main([*COMMANDS["sft"], "--output", str(run), "--max-steps", "1"]) == code
    assert run.exists() == (code == 0)
    if code:
        assert re.search(r"started one process .* torchrun --standalone", capsys.readouterr().err)
        assert list(tmp_path.iterdir()) == []


# --- The configuration files


def _launcher_arguments(*arguments: str):
    parser = launch.launch_command_parser()
    return launch._validate_launch_command(parser.parse_args(arguments))[0]


def _unknown(path: Path) -> list[str]:
    """Return the nested keys that are no option of ``accelerate launch``, which ignores them."""
    known = vars(launch.launch_command_parser().parse_args(["script"]))
    groups = yaml.safe_load(path.read_text()).values()
    return [key for group in groups if isinstance(group, dict) for key in group if key not in known]


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_knows_every_key(name, tmp_path):
    load_config_from_file(str(FILES / name))
    assert _unknown(FILES / name) == []
    text = (FILES / name).read_text()
    (tmp_path / name).write_text(text + "number_of_gpus: 2\n")
    with pytest.raises(ValueError, match=r"unknown keys \(\['number_of_gpus'\]\)"):
        load_config_from_file(str(tmp_path / name))
    (tmp_path / name).write_text(text + "dynamo_config:\n  dynamo_bakend: eager\n")
    assert _unknown(tmp_path / name) == ["dynamo_bakend"]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_processes_has_to_be_given(name):
    with pytest.raises(ValueError, match=r"manually pass in `--num_processes`"):
        _launcher_arguments("--config_file", str(FILES / name), "script")


def _environment(name: str) -> dict[str, str]:
    """Return what ``accelerate launch`` with a file tells the processes that it starts."""
    args = _launcher_arguments("--config_file", str(FILES / name), "--num_processes", "4", "script")
    assert (args.num_processes, args.num_machines) == (4, 1)
    if args.use_deepspeed:
        args.deepspeed_fields_from_accelerate_config = ""  # else `launch_command` sets it
        return environments.prepare_deepspeed_cmd_env(args)[1]
    return environments.prepare_multi_gpu_env(args)


def _tell(monkeypatch, name: str) -> None:
    environment = _environment(name)
    assert environment["ACCELERATE_MIXED_PRECISION"] == "no"  # the run's own bf16 or fp16 decides
    for key in environment.keys() - os.environ.keys():
        monkeypatch.setenv(key, environment[key])


def test_the_ddp_file_asks_for_neither_sharding():
    environment = _environment("ddp.yaml")
    assert not {"ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"} & environment.keys()


def test_the_fsdp_file_shards_layer_by_layer(monkeypatch):
    _tell(monkeypatch, "fsdp2.yaml")
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.auto_wrap_policy.__name__ == "transformer_auto_wrap_policy"
    assert plugin.state_dict_type.name == "SHARDED_STATE_DICT"
    assert not plugin.cpu_ram_efficient_loading


def test_the_zero_file_is_stage_3_and_leaves_the_batch_to_the_run(monkeypatch):
    _tell(monkeypatch, "zero3.yaml")
    plugin = DeepSpeedPlugin()
    assert not plugin.zero3_init_flag
    zero = plugin.deepspeed_config["zero_optimization"]
    assert (zero["stage"], zero["stage3_gather_16bit_weights_on_model_save"]) == (3, True)
    free = ("train_batch_size", "gradient_accumulation_steps", "gradient_clipping")
    assert [plugin.deepspeed_config[name] for name in free] == ["auto"] * 3


# --- The page


def _commands() -> list[str]:
    text = (FILES / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def _alignlab_arguments(words: list[str]) -> list[str]:
    """Return a launched command's own arguments, once its launcher has understood the rest."""
    if words[0] == "torchrun":
        args = get_args_parser().parse_args(words[1:])
    else:
        assert words[:2] == ["accelerate", "launch"]
        args = _launcher_arguments(*words[2:])
    assert (args.module, args.training_script) == (True, "alignlab.cli")
    return args.training_script_args


def test_the_commands_of_the_page_can_be_understood():
    lines = "\n".join(_commands()).replace("\\\n", " ").splitlines()
    launched = [line for line in lines if line.startswith(("accelerate launch", "torchrun"))]
    understood = []
    for line in launched:
        words = shlex.split(line.replace("$FILES", str(FILES)))
        args, rest = build_parser().parse_known_args(_alignlab_arguments(words))
        understood.append(args.verb)
        assert all(word.startswith("--") for word in rest[::2])
    assert {"sft", "dpo"} == set(understood)
    assert {name for name in NAMES if any(name in line for line in launched)} == set(NAMES)
    (sweep,) = [line.split() for line in lines if line.startswith("alignlab sweep")]
    assert build_parser().parse_args(sweep[1:]).betas == [0.05, 0.1, 0.5]


if __name__ == "__main__":
    sys.exit(alignlab_in_one_process(sys.argv[1:]))
