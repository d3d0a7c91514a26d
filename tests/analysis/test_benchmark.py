import math

from glmha_hf.analysis.benchmark import as_rows, benchmark, peak_memory
from tests.models.small import SMALL_CONFIGS


def test_every_case_is_measured_against_the_published_form():
    reported = []
    measured = benchmark(
        SMALL_CONFIGS["mst"](),
        attentions=["csa", "performer"],
        dtypes=["float32", "bfloat16"],
        sizes=[16],
        repeats=2,
        report=reported.append,
    )
    assert [one.case.name for one in measured] == [
        "csa, published, float32, 16×16",
        "csa, fused, float32, 16×16",
        "csa, fused, bfloat16, 16×16",
        "performer, published, float32, 16×16",
        "performer, fused, float32, 16×16",
        "performer, fused, bfloat16, 16×16",
    ]
    assert len(reported) == 2 * len(measured)
    assert measured[0].ratio == 1
    assert measured[0].psnr == math.inf
    for one in measured:
        assert one.fastest <= one.seconds
        assert one.ratio == measured[0].seconds / one.seconds
        if one.case.dtype == "float32":
            assert one.relative_difference < 2e-5
        else:
            assert 1e-4 < one.relative_difference < 0.1
            assert 30 < one.psnr < 80
    assert as_rows(measured)[1]["case"]["fused"] is True


def test_memory_is_that_of_a_process_of_its_own():
    config = SMALL_CONFIGS["restormer"]()
    case = benchmark(config, attentions=["csa"], dtypes=[], sizes=[8], repeats=1)[0].case
    assert 0.05 < peak_memory(config, case, "cpu") < 8
