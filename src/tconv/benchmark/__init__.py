"""The benchmark: published layers, every contender in a process of its own, beside what the machine can do at best.

    results = benchmark.run(suite.select(["U-Net"]), peers=["torch"], rounds=7, threads=2)
    print(report.markdown(results))

Nothing but the command line imports this package; a peer is imported in its own process only.
"""

from tconv.benchmark.measure import run

__all__ = ["run"]
