"""Where reports cannot be set as PDF, the answer says what would mend it."""

import sys

import pytest

from services.dashboard.errors import Conflict
from services.dashboard.pdf import set_as_pdf


def test_without_the_library_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)

    with pytest.raises(Conflict, match=r"cellvigil\[pdf\].*libpango.*report\.html") as refused:
        set_as_pdf("<p>report</p>")

    assert (refused.value.reason, refused.value.status) == ("no_pdf", 409)
