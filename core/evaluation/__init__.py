"""What a checkpoint is worth on a data set: the evaluation on disk, its figures, and comparing two."""

from core.evaluation.artifact import Evaluation, EvaluationError, EvaluationInfo
from core.evaluation.compare import Comparison, compare
from core.evaluation.metrics import Estimate, Metrics, Scores
from core.evaluation.reading import read_evaluation

__all__ = [
    "Comparison",
    "Estimate",
    "Evaluation",
    "EvaluationError",
    "EvaluationInfo",
    "Metrics",
    "Scores",
    "compare",
    "read_evaluation",
]
