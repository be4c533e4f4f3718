"""The page's last part: what is measured and how. Text alone."""
from contest import ONCE_STEPS
from workloads import LORA_R

TEXT = f"""## What is measured
- Weights: the shape's own (`bench/shapes/`), random values, bf16 on disk. Rows: GSM8K (`tests/data/gsm8k/train.jsonl`).
- Both sides are given the same flat config: bf16, `max_seq_length` 2048, no accumulation, AdamW, a constant rate, no gradient checkpointing. LoRA: r = {LORA_R},
  alpha 16, no dropout, all seven projections. The seed gives both the same rows in the same order; the run stops when a step's tokens differ.
- The judged rival (`bench/rivals/transformers_peft.py`): transformers' Trainer, with peft for LoRA, padded only to the longest row of each batch, no reports, no
  evaluation, no saving. Targets of speed are held against the faster of sdpa and eager attention; with "rival's best batch size" against the best of its
  speeds at 1, 2, 4 and 8 rows a step. Memory and start: against sdpa with the same rows.
- trl's SFTTrainer runs without padding, on the same rows (padding-free) and packed; Accelerate's and DeepSpeed's loops are in `bench/rivals/` too, each with
  the library's own settings for speed. They run once a run, {ONCE_STEPS} steps; a ratio is worked out over the steps that both sides made.
- llama.cpp's finetune trains all weights in fp32, on the text of the same rows without a mask; it runs where `--llama-finetune` names a binary.
- For all weights Lathe keeps fp32 masters; the rival that does the same arithmetic loads fp32 weights under bf16 autocast. The other one, bf16 weights and bf16
  optimizer state, does less (small updates are lost in rounding); it is shown and no target is held against it. DeepSpeed keeps fp32 masters.
- Real tokens/s: tokens of the rows, padding never counted, from the end of the first step to the end of the last.
- Peak memory: the largest resident set of the process, from its start to its end, mapped files included. Planned and counted: what Lathe's allocator holds.
- Start: from the moment the process is started until its first step begins. Each side runs once uncounted just before, so that files come from memory.
  Lathe's is listed by its parts, with what the host of a virtual machine gave to others meanwhile (steal in /proc/stat).
- Each figure is the median of all repetitions of a run; a ratio is worked out between neighbours in time, and its median shown (lowest and highest in brackets).
  Processes run one at a time, and who goes first alternates. Absolute figures belong to this machine and hour; ratios travel better.
- Limit: real tokens/s if the matrix products alone took time, at the rate measured beside each repetition over the same products (`bench/machine_rates.py`).
  Work for a token, LoRA: 2P forward and 2P for input gradients (P: projections of the layers), 6 a parameter of the adapters; 4·V·H for the head, supervised tokens
  only. All weights: 6P, and 6·V·H. Attention is left out of the work, so the share is a little less than the truth.
- Kernels (`bench/ops_bench.cpp`): ops as training calls them, on all threads, in one process with the peak, the copies and ATen's, in random order. Attention: 4,096
  tokens laid end to end, 7 products over the half below the diagonal; ATen's is its flash attention for CPUs, its keys and values spread out beforehand. A copy moves
  as many bytes as the op beside it, reads and writes together. AdamW: 28 bytes a parameter.

## Again
```bash
bench/setup.sh                    # the rivals' environments, once
bench/run --write                 # both shapes, every row; bench/run --help for less
```
"""
