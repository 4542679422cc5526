"""Writes the golden of TestDefaults: what transformers takes of a config.json where keys
are absent, null, zero, or those of another family.

    python testdata/defaults.py testdata/defaults.json

Made with transformers 5.24.0.
"""

import itertools
import json
import pathlib
import sys

import transformers

FAMILIES = {
    "llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3", "mistral": "Mistral", "gemma2": "Gemma2", "gemma3_text": "Gemma3Text", "phi3": "Phi3",
    "smollm3": "SmolLM3", "olmo2": "Olmo2", "granite": "Granite",
}
# The sizes without which the engine reads nothing.
SIZES = dict(vocab_size=32, hidden_size=64, intermediate_size=24, num_hidden_layers=32, num_attention_heads=32)
KEYS = [
    "num_key_value_heads", "head_dim", "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters", "tie_word_embeddings", "attention_bias", "hidden_act",
    "hidden_activation", "sliding_window", "use_sliding_window", "max_window_layers", "layer_types", "no_rope_layers", "no_rope_layer_interval",
    "partial_rotary_factor", "original_max_position_embeddings", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
    "rope_local_base_freq", "sliding_window_pattern", "use_bidirectional_attention", "embedding_multiplier", "attention_multiplier", "residual_multiplier",
    "logits_scaling", "max_position_embeddings", "mlp_bias", "is_causal", "bos_token_id", "eos_token_id", "pad_token_id", "initializer_range",
]
TYPES = ["sliding_attention"] * 3 + ["full_attention"] * 29
LONG = dict(rope_type="longrope", short_factor=[1.5], long_factor=[2.0])
NESTED = {"full_attention": {"rope_type": "default", "rope_theta": 5000.0}, "sliding_attention": {"rope_type": "default", "rope_theta": 77.0}}
# Keys that other families read, and values that look like none.
MORE = [
    {"sliding_window": 9}, {"sliding_window": None, "use_sliding_window": True}, {"use_sliding_window": True},
    {"use_sliding_window": True, "sliding_window": 9}, {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 0},
    {"use_sliding_window": False, "sliding_window": 9, "layer_types": TYPES}, {"use_sliding_window": True, "sliding_window": 9, "layer_types": TYPES},
    {"layer_types": TYPES, "sliding_window": 9}, {"sliding_window_pattern": 3}, {"hidden_activation": "silu"}, {"hidden_act": "gelu_pytorch_tanh"},
    {"hidden_act": "silu"}, {"attention_bias": True}, {"tie_word_embeddings": True}, {"tie_word_embeddings": False}, {"rms_norm_eps": 0.0},
    {"no_rope_layers": [1] * 32}, {"no_rope_layer_interval": 3}, {"no_rope_layer_interval": 1}, {"rope_theta": 5000.0}, {"rope_local_base_freq": 77.0},
    {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}, {"rope_parameters": {"rope_type": "default"}},
    {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, {"rope_scaling": LONG, "max_position_embeddings": 8192},
    {"rope_scaling": {**LONG, "original_max_position_embeddings": 128}, "max_position_embeddings": 256},
    {"rope_scaling": {**LONG, "original_max_position_embeddings": 128}, "max_position_embeddings": 256, "original_max_position_embeddings": 64},
    {"final_logit_softcapping": 2.5}, {"attn_logit_softcapping": 2.5}, {"query_pre_attn_scalar": 3}, {"logits_scaling": 3.0, "embedding_multiplier": 5.0},
    {"attention_multiplier": 3.0, "residual_multiplier": 0.25}, {"num_key_value_heads": 16}, {"head_dim": 4},
]


def runs(values):
    """Each value with how many times it follows on itself."""
    return [[value, len(list(group))] for value, group in itertools.groupby(values)]


def windows(c, family):
    """For each layer how many positions it sees; 0: all. As the masks of modeling_*.py have it."""
    n = c.num_hidden_layers
    if family in ("llama", "olmo2", "granite"):
        return [0] * n
    if family in ("mistral", "phi3"):
        return [c.sliding_window or 0] * n
    return [c.sliding_window or 0 if t == "sliding_attention" else 0 for t in c.layer_types]


def rope(c, family):
    """What turns heads: of all layers, and Gemma 3's of those with a window."""
    p = c.rope_parameters
    if family == "gemma3_text":
        out = rope_of(p["full_attention"])
        out["local"] = float(p["sliding_attention"]["rope_theta"])
        return out
    return rope_of(p)


def rope_of(p):
    out = {"theta": float(p["rope_theta"]), "type": p["rope_type"]}  # null: an error, as in the model
    if p["rope_type"] == "longrope":
        out["original"] = p["original_max_position_embeddings"]
    return out


def view(c, family):
    """What the model computes with."""
    gemma, granite = family.startswith("gemma"), family == "granite"
    return {
        "kv_heads": c.num_key_value_heads, "head_dim": getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads, "eps": c.rms_norm_eps,
        "tied": c.tie_word_embeddings, "act": c.hidden_activation if gemma else c.hidden_act, "windows": runs(windows(c, family)), "rope": rope(c, family),
        "bias": family == "qwen2" or family not in ("mistral", "phi3") and bool(c.attention_bias),
        "turns": runs([int(n != 0) for n in c.no_rope_layers] if family == "smollm3" else [1] * c.num_hidden_layers),
        "query": c.query_pre_attn_scalar if gemma else 0, "score_cap": c.attn_logit_softcapping if family == "gemma2" else None,
        "logit_cap": c.final_logit_softcapping if gemma else None,
        "multipliers": [c.embedding_multiplier, c.attention_multiplier, c.residual_multiplier, c.logits_scaling] if granite else [0, 0, 0, 0],
    }


def case(family, more):
    """A config.json, and what transformers takes of it; null: it takes no such file."""
    cls = getattr(transformers, FAMILIES[family] + "Config")
    config = {"model_type": family, **SIZES, **more}
    try:
        c = cls.from_dict(json.loads(json.dumps(config)))
        got = view(c, family)
        if family not in ("mistral", "phi3", "llama", "olmo2", "granite") and c.sliding_window is None and "sliding_attention" in c.layer_types:
            got = None  # the mask of such a layer cannot be made
    except Exception as e:
        print(family, more, type(e).__name__, str(e)[:80].replace("\n", " "), file=sys.stderr)
        got = None
    return {"config": config, "takes": got}


if __name__ == "__main__":
    cases, keys = [], {}
    for family, name in FAMILIES.items():
        known = getattr(transformers, name + "Config")().to_dict()
        keys[family] = [key for key in KEYS if key in known]
        for more in [{}, *({key: None} for key in KEYS), *MORE]:
            long = "short_factor" in (more.get("rope_scaling") or {})
            if "full_attention" in (more.get("rope_parameters") or {}) and family != "gemma3_text":  # which alone has kinds of layers
                continue
            if not long or family not in ("qwen3", "gemma2", "gemma3_text"):  # whose heads have more numbers
                cases.append(case(family, more))
    rows = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    pathlib.Path(sys.argv[1]).write_text('{"keys":' + json.dumps(keys) + ',\n"cases":[\n' + rows + "\n]}\n")
