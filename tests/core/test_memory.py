"""Memory that was freed: whether the system has it again."""

import platform
import subprocess
import sys

import pytest

GAPS = """
import ctypes, psutil
from core.memory import release_free_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
held = lambda: psutil.Process().memory_info().rss / 2**20
begin, size = held(), 100_000  # small enough for the heap
blocks = [libc.malloc(size) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, 1, size)
full = held()
# the last one stays, so that the heap cannot shrink
for block in blocks[:-1]:
    libc.free(block)
freed = held()
release_free_memory()
print(full - begin, freed - begin, held() - begin)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
def test_what_lies_in_the_gaps_of_the_heap_is_given_back():
    ran = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True)
    full, freed, released = map(float, ran.stdout.split())
    assert full > 180
    assert freed > 180
    assert released < 20


def test_another_c_library_is_left_alone():
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import ctypes; from types import SimpleNamespace; ctypes.CDLL = lambda name: SimpleNamespace()\n"
            "from core.memory import release_free_memory; release_free_memory()",
        ],
        check=True,
    )
