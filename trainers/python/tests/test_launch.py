"""What several processes need, and how they end. Only the last test needs the packages."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import unittest
from typing import Any
from unittest import mock

from tunebus_trainer import launch
from tunebus_trainer.keys import KeyFault, Keys, Machine, Plan, plan

GPU = Machine(accelerator=True, bfloat16=True, bitsandbytes=True)
FOUR = launch.Here(accelerators=4, processors=16, deepspeed=True)


def planned(section: dict[str, Any], here: launch.Here = FOUR) -> Plan:
    keys = Keys.read({name: value for name, value in section.items() if name not in ("devices", "accelerator")})
    machine = GPU if here.accelerators else Machine()
    return launch.plan(plan(keys, machine, 0), launch.Processes.read(section), keys, here)


class TestLaunch(unittest.TestCase):
    def test_arguments(self) -> None:
        for accelerator, name, want in (
            ("auto", "ddp_backend", "nccl"),
            ("ddp", "ddp_find_unused_parameters", False),
            ("fsdp2", "fsdp", True),
            ("fsdp2", "gradient_checkpointing", False),
        ):
            arguments = planned({"devices": 2, "accelerator": accelerator, "use_gradient_checkpointing": True}).arguments
            self.assertEqual(arguments[name], want, accelerator)
        sharded = planned({"devices": 2, "accelerator": "fsdp2", "use_gradient_checkpointing": True}).arguments["fsdp_config"]
        self.assertEqual(
            (sharded["version"], sharded["state_dict_type"], sharded["activation_checkpointing"]), (2, "FULL_STATE_DICT", True)
        )
        for stage in (2, 3):
            zero = planned({"devices": 4, "accelerator": f"zero{stage}"}).arguments["deepspeed"]["zero_optimization"]
            self.assertEqual((zero["stage"], zero.get("stage3_gather_16bit_weights_on_model_save", False)), (stage, stage == 3))
        self.assertEqual(planned({"devices": 2}, launch.Here(0, 2)).arguments["ddp_backend"], "gloo")
        one = planned({"devices": 1, "accelerator": "fsdp2"})
        self.assertNotIn("fsdp", one.arguments)
        self.assertIn("it had no effect", one.notes[-1])

    def test_weights_of_four_bits_are_shared_in_one_type(self) -> None:
        for accelerator, want in (("fsdp2", "bfloat16"), ("zero3", "bfloat16"), ("zero2", None), ("ddp", None)):
            quantization = planned({"devices": 2, "accelerator": accelerator, "load_in_4bit": True}).quantization or {}
            self.assertEqual(quantization.get("bnb_4bit_quant_storage"), want, accelerator)

    def test_faults(self) -> None:
        for section, here, key, words in (
            ({"devices": 5}, FOUR, "devices", "the trainer sees 4"),
            ({"devices": 3}, launch.Here(0, 2), "devices", "no accelerator and 2 processors"),
            ({"devices": 2, "accelerator": "zero3"}, launch.Here(0, 2, True), "accelerator", "needs accelerators"),
            ({"devices": 2, "accelerator": "zero2"}, launch.Here(4, 4), "accelerator", "needs the Python package deepspeed"),
            ({"devices": 2, "accelerator": "fsdp2", "load_in_8bit": True}, FOUR, "load_in_8bit", "cannot share weights of 8 bits"),
            ({"devices": "2"}, FOUR, "devices", "want a number"),
            ({"accelerator": "horovod"}, FOUR, "accelerator", "want one of auto, ddp"),
        ):
            with self.subTest(section=section), self.assertRaises(KeyFault) as caught:
                planned(section, here)
            self.assertEqual(caught.exception.key, key)
            self.assertIn(words, str(caught.exception))

    def test_notes(self) -> None:
        keys = Keys(device_train_batch_size=4, grad_accumulation=2)
        self.assertEqual(launch.notes(launch.Processes(1), keys, 30), [])
        step, again = launch.notes(launch.Processes(2), keys, 30)
        self.assertIn("a step has 16 rows", step)
        self.assertIn("2 of 30 rows are used twice", again)
        self.assertEqual(len(launch.notes(launch.Processes(2), keys, 32)), 1)

    def test_devices_of_the_slot(self) -> None:
        for visible, devices, want, note in (
            ("4,5", 1, "4", "1 of the 2 devices"),
            ("4,5,6", 2, "4,5", "1 of the 3 devices"),
            ("4,5", 2, "4,5", ""),
            ("", 1, "", ""),
        ):
            with mock.patch.dict(os.environ, {"CUDA_VISIBLE_DEVICES": visible}):
                said = launch.choose_devices(devices)
                self.assertEqual(os.environ["CUDA_VISIBLE_DEVICES"], want)
                self.assertIn(note, said)
                self.assertEqual(bool(note), bool(said))

    def test_reason(self) -> None:
        """The error of the rank that failed counts, not that of the ranks that lost it."""
        lost = {"error": ["internal", "Connection closed by peer", ""], "lost": True, "time": 1.0}
        full = {"error": ["out_of_memory", "the device is full", ""], "lost": False, "time": 2.0}
        self.assertEqual(launch._reason([lost, full]), ("out_of_memory", "the device is full", ""))
        self.assertIn("the process of rank 1 of 2 ended without a word", launch._reason([lost, {}])[1])
        self.assertEqual(launch._reason([lost, lost])[1], "Connection closed by peer")
        self.assertEqual(launch._reason([{"status": 0}, {"status": 0}])[0], "internal")

    @unittest.skipUnless(importlib.util.find_spec("transformers"), "the arguments are those of transformers")
    def test_transformers_takes_the_arguments_of_fsdp2(self) -> None:
        import transformers

        arguments = planned({"devices": 2, "accelerator": "fsdp2"}).arguments
        with tempfile.TemporaryDirectory() as folder:
            kind: Any = transformers.TrainingArguments
            made = kind(folder, use_cpu=True, fsdp=True, fsdp_config=dict(arguments["fsdp_config"]))
        self.assertEqual(made.fsdp_plugin_args["fsdp_version"], 2)
        self.assertEqual(made.fsdp_plugin_args["state_dict_type"], "FULL_STATE_DICT")
        self.assertTrue(made.fsdp_plugin_args["reshard_after_forward"])


if __name__ == "__main__":
    unittest.main()
