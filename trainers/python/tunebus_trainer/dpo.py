"""Direct preference optimisation with TRL, on a prompt and two answers as tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import engine
from . import model as models
from .keys import Plan

if TYPE_CHECKING:
    from .job import Job
    from .sft import Data

# What TRL logs of it, beside the loss.
POINTS = (
    "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins",
    "logps/chosen", "logps/rejected", "logits/chosen", "logits/rejected",
)  # fmt: skip


def trainer(job: Job, data: Data, plan: Plan, model: Any, tokens: Any) -> Any:
    """TRL's trainer on pairs of answers.

    The reference is the model as it is before the training: the base model with the new
    adapter off, a copy of the adapter that is trained further, or a second model where
    all weights learn.
    """
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    class Prepared(DPOTrainer):
        """Takes the rows as they are: tunebus has rendered and encoded them."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    reference = None
    if plan.lora is None and job.adapter is None:
        reference = models.load(job.model, plan).requires_grad_(False).eval()
    return Prepared(
        model=model,
        ref_model=reference,
        args=DPOConfig(output_dir=str(job.checkpoints), **plan.arguments),
        train_dataset=data.training,
        eval_dataset=data.validation,
        processing_class=tokens,
        peft_config=models.adapter(plan) if job.adapter is None and engine.NAME == engine.TRL else None,
    )
