"""The rival: a bare loop over Accelerate, as one would write it by hand: no Trainer, no callbacks, nothing logged but the loss.

usage: accelerate_loop.py CONFIG.json [--weights bfloat16|float32] [--attention sdpa|eager]  (in the environment of tests/oracle/setup.sh)
"""
import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration

from common import Clock, Collator, load_model, parse_arguments, read_config, read_rows, report


def main() -> None:
    arguments = parse_arguments(__doc__)
    config = read_config(arguments)
    collator, clock, losses = Collator(), Clock(), []
    accelerator = Accelerator(mixed_precision="bf16", cpu=not torch.cuda.is_available(),
                              dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=config["seed"]))
    model = load_model(config, arguments)
    loader = torch.utils.data.DataLoader(read_rows(config), config["per_device_train_batch_size"], shuffle=True, collate_fn=collator,
                                         generator=torch.Generator())
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config["learning_rate"], weight_decay=config["weight_decay"], fused=True)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    model.train()
    for batch in loader:
        clock.begin()
        loss = model(**batch).loss
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(trained, config["max_grad_norm"])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        clock.end()
        if len(clock.ends) == config["max_steps"]:
            break
    report(clock, collator, losses, ("peft", "accelerate"))


if __name__ == "__main__":
    main()
