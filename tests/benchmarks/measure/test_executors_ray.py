"""A Ray cluster that loses a node in the middle of a run loses no image, and stores none twice."""

from __future__ import annotations

import importlib.util
import os

import pytest
from facebench.benchmarks.measure.executors.ray import _ActorPool
from facebench.errors import ResultsError, WorkerDiedError
from facebench.tools import faults
from facebench.tools.faults.nodes import nodes


@pytest.fixture
def ray():
    """Ray; with CI=true a missing one fails, elsewhere the test is skipped."""
    if importlib.util.find_spec("ray") is None:
        reason = "needs Ray: pip install 'facebench[ray]'"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class Remote:
    """A method of an actor; a reference is what a call of it would give."""

    def __init__(self, answer):
        self._answer = answer

    def remote(self, *arguments):
        return (object(), lambda: self._answer(*arguments))


class OneNode:
    """Ray as the pool sees it, in this process: answers may be errors."""

    def __init__(self, answers):
        import ray.exceptions

        self.exceptions = ray.exceptions
        self._answers = iter(answers)
        self.hired = 0

    def hire(self, index):
        self.hired += 1
        self.ready, self.answer = Remote(lambda: True), Remote(lambda chunk: next(self._answers, chunk))
        return self

    def wait(self, references, **_):
        return references[-1:], references[:-1]

    def get(self, reference):
        found = reference[1]()
        if isinstance(found, Exception):
            raise found
        return found


def lost(name: str) -> Exception:
    import ray.exceptions

    kind = getattr(ray.exceptions, name)
    if issubclass(kind, ray.exceptions.ObjectLostError):
        return kind("0" * 56, "nowhere", "")
    return kind("gone") if kind is ray.exceptions.NodeDiedError else kind()


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("name", ["ActorDiedError", "NodeDiedError", "ObjectLostError", "ObjectFetchTimedOutError"])
def test_a_chunk_whose_answer_is_lost_is_worked_on_again(name):
    """ObjectLostError: a large answer stays on its node until it is fetched."""
    here = OneNode([lost(name)])
    pool = _ActorPool(here, here.hire, 1)
    assert sorted(pool.work(iter([["a"], ["b"]]))) == [["a"], ["b"]]
    assert here.hired == 2


@pytest.mark.usefixtures("ray")
def test_a_chunk_that_is_lost_again_and_again_is_an_error():
    here = OneNode([lost("ObjectLostError")] * 3)
    with pytest.raises(WorkerDiedError, match="a chunk of 1 images lost 3 actors"):
        list(_ActorPool(here, here.hire, 1).work(iter([["a"]])))


@pytest.mark.usefixtures("ray")
def test_an_error_of_the_worker_arrives_as_it_was_raised():
    from ray.exceptions import RayTaskError

    here = OneNode([RayTaskError("answer", "Traceback of Ray", ResultsError("no room"))])
    with pytest.raises(ResultsError, match=r"^no room$"):
        list(_ActorPool(here, here.hire, 1).work(iter([["a"]])))


@pytest.mark.slow
@pytest.mark.usefixtures("ray")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_node_killed_in_the_middle_loses_nothing(tmp_path):
    """Detections are those of one child, bit by bit, though chunks were in work on the node that was killed."""
    rows = nodes(tmp_path, times=1, seed=2)
    assert faults.problems(rows) == []
    assert rows[0].seen.startswith("1 nodes killed")
