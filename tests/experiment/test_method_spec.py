"""Methods as they are written: parsing, labels, and agreement with the table of `pqi.prune`."""

import dataclasses

import pytest

from pqi.experiment.method_spec import KINDS, MethodSpec
from pqi.experiment.presets import METHODS
from pqi.prune import METHODS as TABLE
from pqi.prune import SAP, Fraction


def test_the_papers_methods_are_those_of_the_table():
    built = [spec.method() for spec in METHODS]
    assert [(method.label, method.amount, method.ranking) for method in built] == [
        (method.label, method.amount, method.ranking) for method in TABLE.values()
    ]


def test_defaults_are_those_of_the_amounts():
    assert KINDS["sap"].defaults == dataclasses.asdict(SAP())
    assert KINDS["lottery-ticket"].defaults == KINDS["one-shot"].defaults == {"share": Fraction().share}


@pytest.mark.parametrize(
    ("text", "label", "slug"),
    [
        ("sap", "SAP(½, 1)", "sap-0.5-1"),
        ("sap:1,2", "SAP(1, 2)", "sap-1-2"),
        ("sap:0.2", "SAP(0.2, 1)", "sap-0.2-1"),
        ("sap:0.5,1,gamma=3,eta=0.01", "SAP(½, 1), η=0.01, γ=3", "sap-0.5-1-eta0.01-gamma3"),
        ("sap:0.5,1,0,1,0.7", "SAP(½, 1), β=0.7", "sap-0.5-1-beta0.7"),
        ("lottery", "Lottery Ticket", "lottery-ticket"),
        ("lottery:0.3", "Lottery Ticket, P=0.3", "lottery-ticket-share0.3"),
        ("one:share=0.5", "One Shot, P=0.5", "one-shot-share0.5"),
    ],
)
def test_what_is_written_is_what_is_shown(text, label, slug):
    spec = MethodSpec.parse(text)
    assert (spec.label, spec.slug) == (label, slug)
    assert MethodSpec.from_dict(spec.to_dict()) == spec
    assert spec.method().label == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "method must be one of sap, lottery-ticket, one-shot, got ''"),
        ("magic", "method must be one of sap, lottery-ticket, one-shot, got 'magic'"),
        ("sap:a", "method must hold numbers after the colon, as in sap:0.5,1, got 'sap:a'"),
        ("sap:1,", "method must hold numbers after the colon, as in sap:0.5,1, got 'sap:1,'"),
        ("sap:1,2,3,4,5,6", "method sap takes 5 numbers, got 'sap:1,2,3,4,5,6'"),
        ("sap:1,p=2", "p must be given once, got 'sap:1,p=2'"),
        ("lottery:p=2", "method lottery-ticket takes share, got 'p'"),
        ("sap:nan", "p must be finite, got nan"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(") + "$"):
        MethodSpec.parse(text)


@pytest.mark.parametrize("text", ["sap:2,1", "sap:0,1", "sap:0.5,1,eta=-1", "sap:0.5,1,beta=2", "lottery:1.5"])
def test_ranges_are_checked_by_the_amounts(text):
    spec = MethodSpec.parse(text)
    with pytest.raises(ValueError, match="must"):
        spec.method()
