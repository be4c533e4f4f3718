"""The rival: a bare loop over DeepSpeed, ZeRO-2, bf16 with fp32 masters, its CPU Adam, one rank.

usage: deepspeed_loop.py CONFIG.json     (in the environment of bench/setup.sh)

DeepSpeed's CPU Adam was built by bench/setup.sh, with the system's g++.
"""
import os
import sys

os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511",
               "DS_SKIP_CUDA_CHECK": "1", "TORCH_EXTENSIONS_DIR": f"{sys.prefix}/torch_extensions"}

import deepspeed  # noqa: E402  (below its environment, like those that follow)
import torch  # noqa: E402
from accelerate.data_loader import SeedableRandomSampler  # noqa: E402
from deepspeed.ops.adam import DeepSpeedCPUAdam  # noqa: E402

from common import Clock, Collator, load_model, parse_arguments, read_config, read_rows, report  # noqa: E402


def settings(config: dict) -> dict:
    return {"train_micro_batch_size_per_gpu": config["per_device_train_batch_size"], "gradient_accumulation_steps": 1,
            "gradient_clipping": config["max_grad_norm"], "bf16": {"enabled": True}, "zero_optimization": {"stage": 2},
            "zero_force_ds_cpu_optimizer": False, "zero_allow_untested_optimizer": True, "steps_per_print": 1 << 30}


def make_optimizer(config: dict, trained: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    keys = {"lr": config["learning_rate"], "weight_decay": config["weight_decay"]}
    return torch.optim.AdamW(trained, fused=True, **keys) if torch.cuda.is_available() else DeepSpeedCPUAdam(trained, **keys)


def main() -> None:
    arguments = parse_arguments(__doc__)
    config = read_config(arguments)
    collator, clock, losses = Collator(), Clock(), []
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", verbose=False)
    model = load_model(config, arguments)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    engine, _, _, _ = deepspeed.initialize(model=model, optimizer=make_optimizer(config, trained), config=settings(config))
    rows = read_rows(config)
    sampler = SeedableRandomSampler(rows, generator=torch.Generator(), data_seed=config["seed"])
    loader = torch.utils.data.DataLoader(rows, config["per_device_train_batch_size"], sampler=sampler, collate_fn=collator)
    engine.train()
    for batch in loader:
        clock.begin()
        loss = engine(**{key: value.to(engine.device) for key, value in batch.items()}).loss
        engine.backward(loss)
        engine.step()
        losses.append(loss.item())
        clock.end()
        if len(clock.ends) == config["max_steps"]:
            break
    report(clock, collator, losses, ("peft", "accelerate", "deepspeed"))


if __name__ == "__main__":
    main()
