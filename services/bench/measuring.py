"""The command: measure engines, then stages, then the real processes; print tables, write JSON and a picture."""

import gc
from pathlib import Path

import torch
from rich.console import Console

from monitor.engine.store import EngineStore
from monitor.errors import SettingsError
from monitor.network.checkpoint import SHIPPED, load_network
from services.bench.candidates import make_candidates
from services.bench.engines import fastest, rates_here, time_engines
from services.bench.frames import FrameSource
from services.bench.load import LoadPlan, measure_load
from services.bench.machine import machine
from services.bench.plan import BenchPlan
from services.bench.plot import draw
from services.bench.progress import Teller
from services.bench.report import Bench, Report, report_of, with_load
from services.bench.stages import time_stages
from services.bench.table import show
from services.chain.memory import keep_freed_memory
from services.figure import check_matplotlib
from services.whole_file import write_json


def bench(plan: BenchPlan, engines: Path, *, json_file: Path | None, plot_file: Path | None) -> int:
    """Measure and tell; return 0. `engines` is the folder of built engines, which the processes under load use too.

    Raises
    ------
    SettingsError
        The folder of a file to write does not exist, or a picture is wanted and matplotlib is missing.
    EngineFailure
        No engine ran, or no frame came through.
    """
    for file in (json_file, plot_file):
        if file is not None and not file.resolve().parent.is_dir():  # said before the measurement, not after it
            raise SettingsError(f"{file} cannot be written: its folder does not exist; create it", reason="no_folder")
    if plot_file is not None:
        check_matplotlib()
    console = Console()
    keep_freed_memory()  # as the workers do
    report = measured(plan, engines, Teller(console))
    show(report, console)
    if json_file is not None:
        write_json(json_file, report)
    if plot_file is not None:
        draw(report).save(plot_file, format="PNG")
    for file in (json_file, plot_file):
        if file is not None:
            console.print(f"written to {file}", markup=False, highlight=False, soft_wrap=True)
    return 0


def measured(plan: BenchPlan, engines: Path, teller: Teller) -> Report:
    """Return the report of a plan."""
    report, source = _in_this_process(plan, EngineStore(engines), teller)
    if not plan.load:
        return report
    gc.collect()  # the engines of this process: the workers need the memory now
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    load_plan = LoadPlan(
        engine=report["serving"]["engine"],
        load_s=plan.load_s,
        expected_per_s=report["flasks_per_machine"]["frames_per_s"],
        threads=plan.threads,
        weights=plan.weights,
        engines=engines,
    )
    return with_load(report, measure_load(load_plan, source, teller))


def _in_this_process(plan: BenchPlan, store: EngineStore, teller: Teller) -> tuple[Report, FrameSource]:
    network, card = load_network(plan.weights or SHIPPED)
    if plan.threads is not None:
        torch.set_num_threads(plan.threads)
    here = machine()
    candidates, missing = make_candidates(plan, store, teller)
    rates = rates_here(candidates, plan.threads, teller)
    cells = time_engines(plan, candidates, rates, network, teller)
    serving, cell = fastest(cells, candidates, plan.side_px)
    source = FrameSource(plan.side_px, plan.pixel_size_um or card.pixel_size_um)
    stages = time_stages(serving, plan, source, teller)
    return report_of(Bench(plan, here, candidates, missing, rates, cells, (serving, cell), stages)), source
