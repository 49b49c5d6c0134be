"""A plugin of pytest that runs SQLAlchemy's own dialect suite against CairnDB: `cargo xtask clients sqlalchemy-suite`.

What `excluded.txt` names is left out; everything else has to pass."""

import pathlib
import re

import pytest
from sqlalchemy.dialects.postgresql import provision

# The suite makes these in every database; the tests of the dialect suite use neither.
provision._extensions.clear()

EXCLUDED = {
    line.strip()
    for line in (pathlib.Path(__file__).parent / "excluded.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    kept, left_out, used = [], [], set()
    for item in items:
        # The class is called after the database too: Name_postgresql+psycopg_15_0.
        name = re.sub(r"_postgresql\+[^:]*", "", "::".join(item.nodeid.split("::")[1:]))
        found = {name, name.split("[")[0]} & EXCLUDED
        used |= found
        (left_out if found else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)
    if unknown := EXCLUDED - used:
        raise pytest.UsageError(f"excluded.txt names tests that are not there: {', '.join(sorted(unknown))}")
