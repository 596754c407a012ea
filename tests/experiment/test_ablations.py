"""SAP with one number varied is an ablation; with two values, or several numbers varied, it is a comparison."""

from experiment import made
from pqi.experiment.ablations import ablations, compared
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.series import studies


def study_of(*methods, **settings):
    (study,) = studies(made.run(method=MethodSpec.parse(method), **settings) for method in methods)
    return study


def test_one_number_varied_is_an_ablation_in_its_order():
    found = ablations(study_of("sap:0.8,1", "sap:0.2,1", "sap:0.5,1", "lottery", "one-shot"))
    (one,) = found
    assert (one.name, one.title) == ("digits-linear-global-p-at-q1", "p of SAP at q = 1")
    assert one.labels == ("p = 0.2", "p = ½", "p = 0.8")
    assert one.values == (0.2, 0.5, 0.8)


def test_two_values_or_two_numbers_at_once_are_not():
    assert ablations(study_of("sap:0.8,1", "sap:0.5,1", "sap:0.5,1.5", "sap:1,2", "sap:0.5,1,gamma=3")) == []


def test_methods_are_in_every_ablation_that_they_belong_to():
    gammas, etas = ("sap:0.5,1,gamma=3", "sap:0.5,1,gamma=5"), ("sap:0.5,1,eta=0.1", "sap:0.5,1,eta=1")
    qs = ("sap:1,1.2", "sap:1,1.4", "sap:1,2")
    study = study_of("sap:0.5,1", *gammas, *etas, *qs, "one-shot")
    found = ablations(study)
    assert [one.title for one in found] == ["q of SAP at p = 1", "η of SAP(½, 1)", "γ of SAP(½, 1)"]
    assert [one.labels for one in found[1:]] == [("η = 0", "η = 0.1", "η = 1"), ("γ = 1", "γ = 3", "γ = 5")]
    assert [one.label for one in compared(study, found).series] == ["SAP(½, 1)", "SAP(1, 2)", "One Shot"]


def test_names_tell_ablations_of_the_same_number_apart():
    halves = [f"sap:0.5,1,gamma={n}" for n in (1, 2, 3)]
    ones = [f"sap:1,2,gamma={n}" for n in (1, 2, 3)]
    methods = [MethodSpec.parse(text) for text in (*halves, *ones)]
    (study,) = studies(
        made.run(lives=lives, accuracies=(0.9,) * len(lives), method=method)
        for method in methods
        for lives in ((9, 8), (9, 8, 7))
    )
    names = [one.name.removeprefix("digits-linear-global-gamma-at-") for one in ablations(study)]
    assert sorted(names) == ["p0.5-q1", "p0.5-q1-2", "p1-q2", "p1-q2-2"]


def test_seeds_are_no_values():
    methods = ("sap:0.5,1", "sap:0.8,1")
    (study,) = studies(made.run(method=MethodSpec.parse(method), seed=seed) for method in methods for seed in (0, 1, 2))
    assert ablations(study) == []
