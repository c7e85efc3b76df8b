"""Small tables are drawn as HTML, whatever they hold."""

import numpy as np
import pandas as pd
from streamlit.testing.v1 import AppTest

from app.views.tables import table_html
from tests.app.conftest import EVIL, tables_of


def run_table(table):
    from app.views.tables import draw_table

    draw_table(table, alt="some <figures>")


def test_what_a_table_holds_is_shown_letter_by_letter():
    table = pd.DataFrame({EVIL: [EVIL, "–"]}, index=pd.Index([EVIL, "two"], name="a < b"))
    test = AppTest.from_function(run_table, args=(table,)).run()
    assert not test.exception
    (read,) = tables_of(test)
    assert read.index.name == "a < b" and read.index.tolist() == [EVIL, "two"]
    assert read[EVIL].tolist() == [EVIL, "–"]
    assert 'aria-label="some &lt;figures&gt;"' in test.get("html")[0].proto.body


def test_numbers_stand_at_the_right_and_can_be_read():
    columns = {"clips": [12_000, 3], "share": [0.5, np.float32(-0.25)], "few": [2e-5, np.nan]}
    table = pd.DataFrame(columns | {"is it": [True, "no"]})
    html = table_html(table)
    for told in ("12,000", "3", "0.5", "−0.25", "2e−05", "–"):
        assert f'<td class="number">{told}</td>' in html
    assert "<td>no</td>" in html and "<td>True</td>" in html
