"""What is said of arguments of a schedule before the model is loaded."""

from __future__ import annotations

import importlib.util
import unittest

from tunebus_trainer.keys import KeyFault, Keys


@unittest.skipUnless(importlib.util.find_spec("transformers"), "needs the packages")
class TestSchedules(unittest.TestCase):
    def test_faults(self) -> None:
        from tunebus_trainer import schedules

        for name, arguments, words in (
            ("cosine", {"nonsense": 0.1}, "it has no nonsense); its arguments are: num_cycles"),
            ("constant", {"x": 1}, "its arguments are: none"),
            ("polynomial", {"lr_end": 1}, "must be smaller than initial lr"),
            ("reduce_lr_on_plateau", {"factr": 0.1}, "its arguments are: mode, factor"),
            ("inverse_sqrt", {"timescale": "a"}, "unsupported operand"),
            ("linear", {"num_training_steps": 4}, "it has no num_training_steps"),
        ):
            with self.subTest(name=name), self.assertRaises(KeyFault) as caught:
                schedules.check(Keys(lr_scheduler_type=name, lr_scheduler_kwargs=arguments))
            self.assertEqual(caught.exception.key, "lr_scheduler_kwargs")
            self.assertIn(f"fine_tuner.lr_scheduler_kwargs = {{{next(iter(arguments))} = ", str(caught.exception))
            self.assertIn(words, str(caught.exception))

    def test_good_ones(self) -> None:
        from tunebus_trainer import schedules

        for name, arguments in (
            ("cosine", {"num_cycles": 0.5}),
            ("polynomial", {"power": 2}),
            ("reduce_lr_on_plateau", {"factor": 0.1}),
            ("cosine_with_min_lr", {"min_lr": 1e-5}),
            ("warmup_stable_decay", {"num_decay_steps": 5}),
            ("linear", {}),
        ):
            with self.subTest(name=name):
                schedules.check(Keys(lr_scheduler_type=name, lr_scheduler_kwargs=arguments))


if __name__ == "__main__":
    unittest.main()
