"""Arrays are worked on in threads; what comes out does not tell how many there were."""

import threading

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from provenance.threads import in_threads, one_thread_in_blas


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = cv2.getNumThreads()
    cv2.setNumThreads(request.param)
    yield request.param
    cv2.setNumThreads(before)


def test_results_come_in_the_order_of_the_items(threads):
    assert in_threads(lambda item: item**2, range(40)) == [item**2 for item in range(40)]


def test_no_more_threads_than_opencv_may_use(threads):
    together = threading.Barrier(threads)
    assert len(set(in_threads(lambda _: (together.wait(10), threading.get_ident())[1], range(threads)))) == threads
    assert len(set(in_threads(lambda _: threading.get_ident(), range(50)))) <= threads


def test_an_error_is_raised(threads):
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 // item, [1, 0, 2])


def test_blas_stays_with_its_caller_for_a_while():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    with one_thread_in_blas():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == before
