"""The interface against its own description: whatever is sent, no answer is a mistake of ours."""

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from browser_site import Site, end, serve
from cases.page_state import SEEN

from services.dashboard.openapi import described
from services.dashboard.roles import Role
from services.dashboard.routes import ENDPOINTS
from services.dashboard.users import Users
from services.state_folder import StateFolder
from services.store.ledger import Ledger
from services.store.ledger_row import LedgerRow

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "ignored_auth",
)
EXAMPLES = 2
"""Of each path, beside those that cover its description; by hand: many more, see CONTRIBUTING."""
KNOWN = """
[parameters]
"path.flask" = "{flask}"
"path.frame_id" = "{frame_id}"
"path.channel" = "potency"
"path.cell" = 1
"path.file" = {file}

[[operations]]
include-path = "/api/v1/alarms/{{flask}}/{{channel}}/words"
parameters = {{ "path.flask" = "{alarming}", "path.channel" = "{channel}" }}
"""
REPEATED = re.compile(r"Missing test data: .*?(?=💡|===)", re.DOTALL)


@pytest.fixture
def fuzzed(recorded: StateFolder, tmp_path: Path) -> Iterator[tuple[Site, str]]:
    state = StateFolder(tmp_path / "state")
    shutil.copytree(recorded.root, state.root)
    refuse_a_picture(state, recorded.root.parent / "frames")
    users = Users(state.users)
    users.add("admin", Role.ADMIN, "a long enough sentence")
    site = serve(state)
    yield site, f"Bearer {users.make_token('admin', 'fuzz')}"
    end(site)


def refuse_a_picture(state: StateFolder, watch: Path) -> None:
    """Put a picture without a time in its name into quarantine, so that there is one to look at."""
    tifffile.imwrite(watch / "loose.tif", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    with Ledger(state.ledger) as ledger:
        row = LedgerRow("loose.tif", 8192, 1, "", "quarantined", "layout", "no time in its name", None)
        ledger.add([row], datetime.now(UTC))


@pytest.mark.slow
def test_whatever_is_sent_is_answered_as_described(fuzzed: tuple[Site, str], tmp_path: Path):
    site, token = fuzzed
    with httpx.Client(base_url=site.url, headers={"Authorization": token}, timeout=30.0) as client:
        frame_id = client.get(f"/api/v1/flasks/{SEEN}/frames").json()["items"][-1]["frame_id"]
        file = next(one["id"] for one in client.get("/api/v1/quarantine").json()["items"] if one["preview_url"])
        alarm = client.get("/api/v1/alarms").json()["items"][0]
        client.get(f"/api/v1/frames/{frame_id}/cells")  # what is measured for the first time takes seconds
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        KNOWN.format(flask=SEEN, frame_id=frame_id, file=file, alarming=alarm["flask"], channel=alarm["channel"])
    )
    program = Path(sysconfig.get_path("scripts")) / "schemathesis"
    command = [str(program), "--config-file", str(config), "run", f"{site.url}/openapi.json"]
    command += ["--header", f"Authorization: {token}", "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--seed", "7", "--no-color"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=tmp_path, check=False)

    assert done.returncode == 0, done.stdout[-5000:]
    assert not (missed := REPEATED.search(done.stdout)), missed and missed[0]  # every path was really asked
    count = (
        sum(len(methods) for methods in described(ENDPOINTS)["paths"].values()) - 1
    )  # all but the description, which it reads
    assert f"{count} selected / {count} total" in done.stdout
