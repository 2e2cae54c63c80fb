"""Read what a run kept: potency by flask, alarms, and the cells of a frame. It may be running still.

    python docs/examples/read_a_finished_run.py STATE_FOLDER

Needs pandas: pip install 'cellvigil[pandas]'.
"""

import sys

from services import open_state

with open_state(sys.argv[1]) as run:
    estimates = run.estimates()
    print(estimates.groupby("flask")["potency"].agg(["count", "median"]))  # a frame without a number is not counted
    print(f"units: potency in {estimates.attrs['units']['potency']} of the reference lot")
    for flask, alarm in run.alarms().groupby("flask"):
        print(f"{flask}: {', '.join(alarm['channel'] + ' ' + alarm['state'])}")

    results = run.results()
    print(results["state"].value_counts().to_string())
    newest = results[results["state"] == "ok"].sort_values("acquired_at").iloc[-1]
    labels = run.labels(newest["frame_id"]).cells  # (Y, X) int32, 0 is background
    cells = run.cells(newest["frame_id"])
    print(f"{newest['source']}: {labels.max()} cells, median area {cells['area'].median():.0f} um2")
