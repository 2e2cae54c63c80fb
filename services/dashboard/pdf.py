"""The report as PDF: its HTML set by WeasyPrint, which the extra `pdf` brings.

A browser prints the same file to the same pages; this is for archives and scripts that fetch a report by themselves. It
runs in the process that measures frames: setting takes seconds.
"""

import logging
from importlib.util import find_spec

from services.dashboard.errors import Conflict

MEDIA = "application/pdf"
MEND = (
    "install it (pip install 'cellvigil[pdf]', and Pango: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
    "fonts-dejavu-core), or open report.html and print that"
)


def offered() -> bool:
    """Whether the library is installed; the system's own that it needs show when it is used."""
    return find_spec("weasyprint") is not None


def set_as_pdf(html: str) -> bytes:
    """Return a page as PDF; nothing outside the page is fetched.

    Raises
    ------
    Conflict
        `no_pdf`: WeasyPrint, or Pango below it, is not installed.
    """
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:  # OSError: a library of the system is missing
        raise Conflict(f"no PDF is made here ({error}); {MEND}", reason="no_pdf") from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    made: bytes = HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=())).write_pdf()
    return made
