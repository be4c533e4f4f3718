"""The rival: trl's SFTTrainer (+ peft) without padding: the rows of a batch laid end to end (padding_free), or packed.

usage: trl_sft.py CONFIG.json [--pack TOKENS]     (in the environment of bench/setup.sh)

With --pack, rows are packed to so many tokens by trl's best-fit (packing=True): a step then has as many rows as fit, and other ones.
"""
from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from common import ClockCallback, Counts, load_model, parse_arguments, read_config, read_rows, report
from rival import training_arguments


class CountingCollator(DataCollatorForLanguageModeling):
    """trl's own, counting what goes through it."""
    counts = Counts()

    def torch_call(self, examples: list[dict]) -> dict:
        batch = super().torch_call(examples)
        self.counts.add(examples, batch["input_ids"].numel())
        self.counts.targets[-1] = int((batch["labels"] != -100).sum())  # the first token of a packed row is none
        return batch


def sft_config(config: dict, pack: int) -> SFTConfig:
    known = training_arguments(config)
    keys = {name: getattr(known, name) for name in SFTConfig.__dataclass_fields__ if hasattr(known, name)
            and SFTConfig.__dataclass_fields__[name].init}
    keys |= {"packing": bool(pack), "padding_free": True, "max_length": pack or config["max_seq_length"],
             "gradient_checkpointing": False}
    return SFTConfig(**keys)


def main() -> None:
    arguments = parse_arguments(__doc__)
    config = read_config(arguments)
    clock = ClockCallback()
    trainer = SFTTrainer(model=load_model(config, arguments), args=sft_config(config, arguments.pack),
                         train_dataset=Dataset.from_list(read_rows(config)), data_collator=CountingCollator(pad_token_id=0, padding_free=True),
                         processing_class=AutoTokenizer.from_pretrained(config["model_name_or_path"]), callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    report(clock, CountingCollator.counts, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
           ("peft", "accelerate", "trl"))


if __name__ == "__main__":
    main()
