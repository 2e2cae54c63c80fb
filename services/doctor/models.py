"""The models: present, unaltered, and loadable with what is installed here."""

from collections.abc import Iterator
from pathlib import Path

from services.doctor.check import Check, ok, problem
from services.doctor.probe import ask_python
from services.settings import Settings

LOAD_TIMEOUT_S = 90.0
PATH_VARIABLE = "CELLVIGIL_DOCTOR_MODEL"
FIELDS_VARIABLE = "CELLVIGIL_DOCTOR_FIELDS"

WEIGHTS_QUESTION = f"""
import os
from pathlib import Path
from monitor.network.checkpoint import SHIPPED, load_network
network, card = load_network(Path(os.environ["{PATH_VARIABLE}"] or SHIPPED))
print(f"{{card.name}}, {{card.pixel_size_um:g}} um per pixel, sha256 {{card.sha256[:12]}}")
"""

POTENCY_QUESTION = f"""
import os
from pathlib import Path
from monitor.potency.model import DEMO, load_live_model
folder = Path(os.environ["{PATH_VARIABLE}"] or DEMO)
model = load_live_model(folder, min_fields=int(os.environ["{FIELDS_VARIABLE}"]))
kind = " (the demo model: trained on simulated cultures, never for a decision on real cells)" if folder == DEMO else ""
version = f"version {{model.card['version']}}, " if "version" in model.card else ""
print(f"{{folder.name}}, {{version}}{{len(model.contract.features)}} features, digest {{model.digest[:12]}}{{kind}}")
"""


def check_models(settings: Settings) -> Iterator[Check]:
    """Yield whether the segmenter's weights and the potency model can be used."""
    fields = settings.culture.min_fields
    yield _check("segmenter weights", WEIGHTS_QUESTION, settings.segmenter.weights, "segmenter.weights", fields)
    yield _check("potency model", POTENCY_QUESTION, settings.predictor.model, "predictor.model", fields)


def _check(name: str, question: str, path: Path | None, setting: str, fields: int) -> Check:
    answer = ask_python(question, LOAD_TIMEOUT_S, {PATH_VARIABLE: str(path or ""), FIELDS_VARIABLE: str(fields)})
    if answer.succeeded:
        return ok(name, answer.output)
    mend = f"correct the setting {setting}" if path else "install cellvigil again"
    return problem(name, error_message(answer.output), mend)


def error_message(output: str) -> str:
    """Return what the last line of a traceback says, without the class of the error.

    >>> error_message("monitor.errors.ModelRefused: no such card")
    'no such card'
    """
    last = output.strip().splitlines()[-1]
    return last.partition(": ")[2] or last
