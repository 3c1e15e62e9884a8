"""What `accelerate` reports, word by word."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
from torch import nn

import tconv.nn
from tconv.nn.comparison import Comparison
from tconv.nn.report import Report, Row, forget, keep

FASTER = Comparison(0.004, 0.002, 1e-6)


def rows() -> list[Row]:
    return [
        Row("folded", "up + norm", "fold", "1 -> 0.5 ms"),
        Row("skipped", "out", "fold", "not used: <slower>"),
        Row("whole", "", "Net", str(FASTER)),
    ]


def test_a_report_of_what_is_faster() -> None:
    told = Report("Net", rows(), FASTER, graphs=2, graph_breaks={"print\nmore": 3}, seconds=1.25)
    assert told.speed == 2 and told.error == 1e-6 and told.changed
    assert told.reasons == {"out": "not used: <slower>"}
    assert str(told) == (
        "tconv: Net: 4 -> 2 ms (2.00x), error 1.0e-06, 1 part folded\n"
        "folded    up + norm  fold  1 -> 0.5 ms\n"
        "skipped   out  fold  not used: <slower>\n"
        "whole     (model)  Net  4 -> 2 ms (2.00x), error 1.0e-06\n"
        "captured  2 graphs, 3 breaks, 1.2 s in all\n"
        "break     print (3)"
    )
    html = told._repr_html_()
    assert "not used: &lt;slower&gt;" in html and html.count("<tr>") == 4
    assert html.endswith("<p>Graph breaks:</p><ul><li>print (3)</li></ul>")


def test_lines() -> None:
    assert Report("Net", rows(), FASTER, steady=False).line() == (
        "tconv: Net: 4 -> 2 ms (2.00x), error 1.0e-06, 1 part folded; "
        "two runs of the model differ, so its parts were compared"
    )
    assert Report("Net", rows()[2:], FASTER).line() == (
        "tconv: Net: 4 -> 2 ms (2.00x), error 1.0e-06, channels-last weights"
    )
    replaced = [Row("replaced", name, "ConvTranspose2d") for name in ("a", "b")]
    assert Report("Net", replaced).line() == "tconv: Net: 2 layers replaced"
    assert Report("Net", replaced[:1] + rows()[:1]).line() == "tconv: Net: 1 layer replaced, 1 part folded"
    assert Report("Net").line() == (
        "tconv: Net stays as it was, nothing that tconv makes faster was found; tconv.nn.report(model) says more"
    )
    slower = Comparison(0.002, 0.004, 0)
    assert Report("Net", [Row("restored", "", "Net", "not faster")], slower).line() == (
        "tconv: Net stays as it was, not faster: 2 -> 4 ms (0.50x), error 0.0e+00; tconv.nn.report(model) says more"
    )


def test_a_report_of_nothing() -> None:
    told = Report("Net", [Row("restored", "", "Net", "not faster")], Comparison(1, 2, 0.5))
    assert told.speed == 1 and told.error == 0 and not told.changed and told.reasons == {"(model)": "not faster"}
    assert "Graph breaks" not in told._repr_html_()


def test_reports_belong_to_a_model() -> None:
    model, told = nn.Linear(2, 2), Report("Linear")
    with pytest.raises(LookupError) as error:
        tconv.nn.report(model)
    assert str(error.value) == (
        "this Linear is not accelerated: call tconv.nn.accelerate(model, example) first; "
        "copies are not accelerated with their model"
    )
    keep(model, told)
    assert tconv.nn.report(model) is told
    with pytest.raises(LookupError):
        tconv.nn.report(copy.deepcopy(model))
    forget(model)
    forget(model)
    with pytest.raises(LookupError):
        tconv.nn.report(model)
    keep(model, told)
    gone = weakref.ref(model)
    del model, error  # whose traceback knows the model
    gc.collect()
    assert gone() is None
