"""Learn potency from a table of features and the results of the laboratory, held out by donor; then use the model.

    python docs/examples/train_potency.py frames.csv assays.csv MODEL_FOLDER

The forms of the two tables stand in README, "Potency from your own assays"; `cellvigil train potency` tells more.
"""

import sys
from pathlib import Path

import monitor
from monitor.potency.train import train_potency
from services.potency.gathering import Question, gather

frames, assays, out = map(Path, sys.argv[1:4])
gathered = gather(Question(table=frames, assay=assays, targets=("IDO",), group="donor"))
for line in (*gathered.notes, *gathered.warnings):
    print(line)

card = {"name": "IDO of our flasks", "must_not_be_used_for": "releasing a batch"}
report = train_potency(gathered.table, out, card)["IDO"]
print(
    f"RMSE {report.rmse:.1f} on donors that were held out; the mean alone has {report.baselines['dummy']['rmse']:.1f}"
)
if not report.published:
    raise SystemExit("no better than the mean: no model was written")

model = monitor.load_potency_model(out)
low, middle, high = model.answers(gathered.table.rows[:1])["IDO"][0]
print(f"the first row: IDO {middle:.1f} pg/mL, with 90 % between {low:.1f} and {high:.1f}")
