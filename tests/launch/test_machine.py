"""What the embedded model needs of a machine."""

import pytest

from services.launch.machine import missing_features

OLD = "processor : 0\nflags\t\t: fpu sse4_2 avx\n"
NEW = "processor : 0\nflags\t\t: fpu sse4_2 avx avx2 fma bmi1 bmi2\n"


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "missing"),
    [
        ("x86_64", NEW, []),
        ("x86_64", OLD, ["avx2", "bmi2", "fma"]),
        ("x86_64", "", []),
        ("aarch64", "Features : fp asimd", []),
    ],
)
def test_missing_features(machine, cpuinfo, missing):
    """An x86-64 processor needs AVX2, FMA and BMI2; of others nothing is asked."""
    assert missing_features(machine, cpuinfo) == missing
