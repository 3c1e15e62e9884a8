"""Fixed kernels against a learned one: a photograph made small and brought back by the same layer."""

from tconv.explorer.learned.explanation import LearnedExplanation, explain_learned

__all__ = ["LearnedExplanation", "explain_learned"]
