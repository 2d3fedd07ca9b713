from __future__ import annotations

import os

import pytest

from experiments import engines
from experiments.engines import InProcess, ProcessPool, RunFailed, engine
from sim.errors import ConfigError, InvariantError


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    if number == 2:
        raise InvariantError("lots sum to zero", step=5, account=2, expected=0, found=1)
    if number == 3:
        raise ZeroDivisionError("three")
    engines.checkpoint(0, 1)
    return number


def test_engines_give_the_same_results() -> None:
    tasks = list(range(6))
    assert dict(InProcess().map(square, tasks)) == dict(ProcessPool(2).map(square, tasks))
    assert list(InProcess().map(square, [3, 1])) == [(0, 9), (1, 1)]


def test_one_job_stays_in_this_process() -> None:
    assert isinstance(engine(1), InProcess)
    assert isinstance(engine(2), ProcessPool)


def test_errors_of_workers_arrive_whole() -> None:
    with pytest.raises(InvariantError, match="step 5, account 2") as caught:
        list(ProcessPool(1).map(fail, [1, 2]))
    assert caught.value.account == 2
    with pytest.raises(RunFailed, match="ZeroDivisionError: three") as failed:
        list(ProcessPool(1).map(fail, [3]))
    assert "Traceback" in failed.value.detail


def process_of(number: int) -> int:
    return os.getpid()


def test_a_kept_pool_lasts_until_an_error_and_then_begins_anew() -> None:
    with engines.keeping(2):
        pool = engine(2)
        assert pool is engine(2)
        assert isinstance(engine(1), InProcess)
        assert engine(3) is not pool
        first = {pid for _, pid in pool.map(process_of, range(8))}
        second = {pid for _, pid in pool.map(process_of, range(8))}
        assert len(first | second) <= 2
        with pytest.raises(InvariantError):
            list(pool.map(fail, [1, 2]))
        third = {pid for _, pid in pool.map(process_of, range(8))}
        assert not third & first
        assert list(pool.map(process_of, [])) == []
    assert engine(2) is not pool


def test_config_errors_keep_their_problems() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(ConfigError.of("a", 1, "2")))
    assert str(error) == "a = 1; allowed: 2"


def test_listeners_hear_of_steps_and_are_let_go() -> None:
    heard: list[tuple[int, int]] = []
    with engines.listening(lambda done, total: heard.append((done, total))):
        engines.checkpoint(3, 10)
    engines.checkpoint(4, 10)
    assert heard == [(3, 10)]
