"""What bench/presets measures: the presets, one workload with one thing changed at a time, and the claims beside them. Standard library only."""
import dataclasses

from peers import MASTERS, PEFT
from workloads import FULL, LORA, Workload

UPDATES, LONGEST_ROW = 20, 24
PRESETS = {"full": "full", "lora": "lora", "simple": "simple", "qlora": "qlora", "qlora_8bit": "qlora_8bit", "deepspeed": "deepspeed",
           "stage2_offload": "deepspeed_stage2_offload", "stage3": "deepspeed_stage3", "minimal": "deepspeed_minimal", "bf16": "bf16"}
# Two micro-batches: gradients are added up in fp32 as with the preset's own number of them, and take what they take there.
WHOLE_ROWS = {"packing": "true", "gradient_accumulation_steps": 2, "max_steps": 1, "warmup_steps": 0}
ROWS_A_STEP, STEPS = 4, 5
QLORA = {"use_qlora": True, "quantization_bit": 4, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
ATTENTION = "q_proj,k_proj,v_proj,o_proj"


@dataclasses.dataclass(frozen=True)
class Factor:
    title: str
    workload: Workload

    def has_base_beside(self) -> bool:
        """Whether a claim compares it with the base, which then runs anew just before it: speeds of one machine differ within the hour."""
        return any(kind != "memory" and row == self.workload.name for _, row, kind in CLAIMS)


def changed(name: str, title: str, change: dict, rivals: tuple = (PEFT,), base: dict = LORA) -> Factor:
    return Factor(title, Workload(name, title, base | change, ROWS_A_STEP, STEPS, 2, rivals, {}, (5, 12)))


BASE = changed("lora", f"LoRA r = 64 on all seven projections, bf16, {ROWS_A_STEP} rows", {})
# On one rank the ZeRO rows have no rival of their own: DeepSpeed's loop stands in docs/benchmarks.md.
FACTORS = (
    BASE,
    changed("qlora_4bit", "4-bit base (NF4, double quantisation)", QLORA),
    changed("qlora_8bit", "8-bit base", QLORA | {"quantization_bit": 8}),
    changed("qlora_4bit_checkpointing", "4-bit base, gradient_checkpointing", QLORA | {"gradient_checkpointing": True}),
    changed("checkpointing", "gradient_checkpointing", {"gradient_checkpointing": True}),
    changed("attention_alone", "adapters on the attention alone", {"lora_target_modules": ATTENTION}),
    changed("dropout", "lora_dropout 0.1", {"lora_dropout": 0.1}),
    changed("stage_2_offload", "ZeRO stage 2 with cpu_offload", {"use_deepspeed": True, "deepspeed_stage": 2, "cpu_offload": True}, ()),
    changed("stage_3", "ZeRO stage 3 on one rank", {"use_deepspeed": True, "deepspeed_stage": 3}, ()),
    changed("full", "every weight trains, fp32 masters", {}, (MASTERS,), FULL),
    changed("full_8bit", "every weight trains, 8-bit AdamW", {"optim": "adamw_bnb_8bit"}, (MASTERS,), FULL),
)

# What the toolkit's pages say (for GPUs, without workload, card or log), and what answers it: (claim, row, kind); memory is
# that with whole rows, the rest compares a row of one_at_a_time with the base beside it.
CLAIMS = (
    ("`lora` takes 6–8 GB (its page on LoRA: about 6; for a 0.5B model: 2–4)", "lora", "memory"),
    ("`qlora` takes 4–6 GB (elsewhere about 3, 4–8)", "qlora", "memory"),
    ("`qlora_8bit` takes about 4 GB", "qlora_8bit", "memory"),
    ("`deepspeed` takes 4–8 GB (elsewhere 8–16)", "deepspeed", "memory"),
    ("`stage2_offload` takes 3–6 GB (elsewhere 6–12)", "stage2_offload", "memory"),
    ("`stage3` takes 2–4 GB (elsewhere 4–6, under 8)", "stage3", "memory"),
    ("`minimal` takes 1–3 GB", "minimal", "memory"),
    ("`full` takes about 8 GB (elsewhere 8+, 10, over 16)", "full", "memory"),
    ("`qlora` takes 1.2 times the time of `lora`", "qlora_4bit", "time"),
    ("`stage2_offload` takes 1.1 times the time of `lora`", "stage_2_offload", "time"),
    ("`stage3` takes 1.5 times the time of `lora`", "stage_3", "time"),
    ("`full` is \"fastest\" (elsewhere \"medium\")", "full", "time"),
    ("QLoRA saves 50–75 % of the memory (elsewhere 60 %)", "qlora_4bit", "saved"),
)
