"""The history of a result from its provenance records."""

import pytest

from fullchain.paper.lineage import ancestors, job_from_record, steps_of, versions


def record(step, outputs, inputs, started="2026-01-01T00:00:00Z", numpy="2.4.0", prefix="r/x/"):
    return {
        "step": step,
        "settings": {},
        "code": {"modules": {f"fullchain.{step}": "aa"}, "packages": {"numpy": numpy}},
        "inputs": {prefix + path: "00" for path in inputs},
        "outputs": [prefix + path for path in outputs],
        "started": started,
        "duration_seconds": 2.0,
        "cpu_seconds": 1.0,
        "host": "h",
        "platform": "p",
    }


def job(step, outputs, inputs, **more):
    return job_from_record(record(step, outputs, inputs, **more), outputs[0])


def test_paths_are_relative_to_the_run_wherever_it_lies_now():
    one = job("jets.process", ["jets/a"], ["ntuples/a"], prefix="/elsewhere/results/other/")
    assert one.outputs == ("jets/a",)
    assert list(one.inputs) == ["ntuples/a"]


def test_a_record_that_lacks_something_is_a_key_error():
    broken = record("jets.process", ["a"], [])
    del broken["host"]
    with pytest.raises(KeyError, match="host"):
        job_from_record(broken, "a")


def chain():
    return [
        job("c.plot", ["figure"], ["table"], started="2026-01-01T03:00:00Z"),
        job("a.make", ["one", "one.json"], [], started="2026-01-01T01:00:00Z"),
        job("a.make", ["two"], [], started="2026-01-01T01:30:00Z"),
        job("b.join", ["table"], ["one", "two", "outside.root"], started="2026-01-01T02:00:00Z"),
        job("b.old", ["forgotten"], ["one"]),
    ]


def test_only_what_leads_to_the_result_counts():
    found, unknown = ancestors(chain(), ["figure", "by-hand"])
    assert [one.step for one in found] == ["a.make", "a.make", "b.join", "c.plot"]
    assert unknown == ["by-hand", "outside.root"]


def test_steps_stand_after_what_they_read():
    steps = steps_of(ancestors(chain(), ["figure"])[0])
    assert [step.name for step in steps] == ["a.make", "b.join", "c.plot"]
    assert [step.after for step in steps] == [[], ["a.make"], ["b.join"]]
    assert steps[0].duration == 4.0
    assert steps[0].cpu == 2.0
    assert steps[0].stage == "a"


def test_a_circle_of_stale_records_ends():
    jobs = [job("a.x", ["one"], ["two"]), job("b.y", ["two"], ["one"])]
    found, _ = ancestors(jobs, ["one"])
    assert sorted(step.name for step in steps_of(found)) == ["a.x", "b.y"]


def test_mixed_versions_are_seen():
    jobs = [job("a.x", ["one"], []), job("a.x", ["two"], [], numpy="2.5.0")]
    assert versions(jobs, "packages") == {"numpy": ["2.4.0", "2.5.0"]}
    assert len(steps_of(jobs)[0].identities) == 2
    assert len(steps_of(jobs[:1])[0].identities) == 1
