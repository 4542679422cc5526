"""A tiny model that sees: each switch freezes what its name says."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

from tests.full import full
from tests.worker import Attempt, make_job
from tunebus_trainer import vision
from tunebus_trainer.keys import KeyFault, Keys
from tunebus_trainer.rows import RowFault
from tunebus_trainer.vision import Switches

ALL = {name: True for name in ("finetune_vision_layers", "finetune_language_layers", "finetune_attention_modules", "finetune_mlp_modules")}
KEYS: dict[str, Any] = {
    "is_multimodel": True,
    "max_sequence_length": 256,
    "device_train_batch_size": 5,
    "grad_accumulation": 1,
    "epochs": 1,
    "save_steps": 0,
    "dtype": "float32",
    "learning_rate": 0.01,
    "rank": 4,
}
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>"
    "{% for p in m['content'] %}{% if p['type'] == 'image' %}<image>{% else %} {{ p['text'] }} {% endif %}{% endfor %}"
    "<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_model(folder: Path) -> None:
    """Writes a tiny LLaVA with random weights, and its processor."""
    import tokenizers
    import torch
    import transformers

    words = ["<pad>", "<unk>", "<end>", "<image>", "<user>", "<assistant>", "what", "is", "this", "a", "red", "green", "blue", "dot"]
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    fast: Any = transformers.PreTrainedTokenizerFast
    tokens = fast(tokenizer_object=made, eos_token="<end>", pad_token="<pad>", unk_token="<unk>", additional_special_tokens=words[3:6])
    sees: Any = transformers.CLIPImageProcessor
    processor: Any = transformers.LlavaProcessor
    processor(
        image_processor=sees(size={"height": 16, "width": 16}, do_center_crop=False),
        tokenizer=tokens,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    small: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=32, **small),
            text_config=transformers.LlamaConfig(vocab_size=len(words), num_key_value_heads=2, max_position_embeddings=256, **small),
            image_token_index=3,
            vision_feature_layer=-1,
        )
    ).save_pretrained(folder)


def make_rows(folder: Path, count: int) -> Path:
    """Writes rows with an image each."""
    from PIL import Image

    path = folder / "rows.jsonl"
    with path.open("w") as out:
        for i in range(count):
            name = ("red", "green", "blue")[i % 3]
            image = folder / f"{i}.png"
            Image.new("RGB", (20, 20), name).save(image)
            question = [{"type": "image"}, {"type": "text", "text": "what is this"}]
            answer = [{"type": "text", "text": f"a {name} dot"}]
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            out.write(json.dumps({"messages": messages, "images": [str(image)]}) + "\n")
    return path


class TestVision(unittest.TestCase):
    folder: ClassVar[Path]
    temporary: ClassVar[tempfile.TemporaryDirectory[str]]

    @classmethod
    def setUpClass(cls) -> None:
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.temporary.name)
        make_model(cls.folder / "base")
        cls.rows = make_rows(cls.folder, 20)

    rows: ClassVar[Path]

    @classmethod
    def tearDownClass(cls) -> None:
        cls.temporary.cleanup()

    def attempt(self, name: str, keys: dict[str, Any]) -> Attempt:
        job = make_job(self.folder / name, self.folder / "base", self.rows, {**KEYS, **keys})
        job["training"]["messages"] = str(self.rows)
        return Attempt(self.folder / name, job).run()

    def changed(self, name: str) -> set[str]:
        """The parts whose weights differ from those of the base model."""
        import safetensors.torch

        base = safetensors.torch.load_file(self.folder / "base" / "model.safetensors")
        now = safetensors.torch.load_file(self.folder / name / "model" / "model.safetensors")
        self.assertEqual(sorted(base), sorted(now))
        return {part(key) for key, value in now.items() if not value.equal(base[key])}

    @full
    def test_all_weights(self) -> None:
        whole = {f"{layers} {modules}" for layers in ("vision", "language") for modules in ("attention", "mlp")}
        for switch, frozen in (
            ("", set()),
            ("finetune_vision_layers", {"vision attention", "vision mlp", "vision"}),
            ("finetune_language_layers", {"language attention", "language mlp", "language"}),
            ("finetune_attention_modules", {"vision attention", "language attention"}),
            ("finetune_mlp_modules", {"vision mlp", "language mlp"}),
        ):
            with self.subTest(switch):
                name = switch or "whole"
                keys = {**ALL, **({switch: False} if switch else {}), "full_finetuning": True}
                done = self.attempt(name, keys)
                self.assertEqual(done.status, 0, (self.folder / name / "log").read_text()[-3000:])
                changed = self.changed(name)
                self.assertEqual(changed & frozen, set())
                self.assertEqual(changed & whole, whole - frozen)

    def test_adapter(self) -> None:
        import safetensors.torch

        done = self.attempt("adapter", {**ALL, "finetune_vision_layers": False, "finetune_mlp_modules": False})
        self.assertEqual(done.status, 0, (self.folder / "adapter" / "log").read_text()[-3000:])
        losses = done.points("loss")
        self.assertLess(losses[4], losses[1])
        weights = safetensors.torch.load_file(self.folder / "adapter" / "model" / "adapter_model.safetensors")
        self.assertEqual({part(key) for key in weights}, {"language attention"})

    @full
    def test_long_rows_are_left_out(self) -> None:
        done = self.attempt("long", {**ALL, "max_sequence_length": 5})
        self.assertEqual([e["class"] for e in done.of("error")], ["bad_data"])
        self.assertIn("max_sequence_length", done.of("error")[0]["text"])
        [data] = done.of("dataset")
        self.assertEqual((data["rows"], data["dropped"]), (20, 20))

    def test_faults(self) -> None:
        for section, key, words in (
            ({}, "finetune_language_layers", ["no layers", "finetune_vision_layers", "no modules", "finetune_attention_modules"]),
            ({"finetune_mlp_modules": True}, "finetune_language_layers", ["no layers"]),
            ({"finetune_vision_layers": True}, "finetune_attention_modules", ["no modules"]),
            ({**ALL, "packing": True}, "packing", ["cannot join rows with images"]),
        ):
            with self.subTest(section), self.assertRaises(KeyFault) as caught:
                Switches.read({"is_multimodel": True, **section}).check(Keys(packing="packing" in section))
            self.assertEqual(caught.exception.key, key)
            for word in words:
                self.assertIn(word, str(caught.exception))
        Switches.read({}).check(Keys())

    def test_rows(self) -> None:
        """What cannot be read is said with its line."""
        question, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}
        row = vision._open(self.rows, 1, json.dumps({"messages": [question, answer, question, answer]}), True)
        self.assertEqual((len(row["prompt"]), row["completion"], row["images"]), (3, [vision._parts(answer)], []))
        for line, words in (
            ({"text": "a story"}, "rows.jsonl, line 1: it is a plain text"),
            ({"messages": [question], "tools": []}, "it has tools"),
            ({"messages": [question], "images": ["/no/such.png"]}, "No such file"),
        ):
            with self.subTest(line), self.assertRaises(RowFault) as caught:
                vision._open(self.rows, 1, json.dumps(line), True)
            self.assertIn(words, str(caught.exception))

    def test_names(self) -> None:
        """The parts of other models are known by their names."""
        attention = Switches(True, True, False, True, False)
        for name, learns in (
            ("model.visual.blocks.0.attn.qkv", True),  # Qwen2-VL
            ("model.visual.blocks.0.mlp.fc1", False),
            ("model.language_model.layers.0.self_attn.q_proj", False),
            ("model.vision_model.encoder.layers.0.self_attn.out_proj", True),  # Idefics3, SmolVLM
            ("model.text_model.layers.0.mlp.up_proj", False),
            ("vision_tower.vision_model.encoder.layers.1.self_attn.k_proj", True),  # LLaVA
        ):
            self.assertEqual(attention.learns(name), learns, name)


def part(name: str) -> str:
    """Which part of the model a weight is of."""
    layers = "vision" if "vision" in name else "connector" if "projector" in name else "language"
    modules = " attention" if "self_attn" in name else " mlp" if ".mlp." in name else ""
    return layers + modules


if __name__ == "__main__":
    unittest.main()
