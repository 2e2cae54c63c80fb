import subprocess
import sys

import pytest

PROGRAM = """
import resource, numpy as np
from services.chain.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones((1024, 1024), np.int32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
fresh = faults()
assert keep_freed_memory()
faults()
print(fresh, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc only")
def test_a_frame_takes_the_memory_of_the_one_before() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    fresh, kept = map(int, ended.stdout.split())
    if fresh < 1000:
        pytest.skip("the system counts no page faults, or hands out large pages")
    assert kept < fresh / 10
