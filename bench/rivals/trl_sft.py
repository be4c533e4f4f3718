"""The rival: trl's SFTTrainer (+ peft) without padding: the rows of a batch laid end to end (padding_free), or packed.

usage: trl_sft.py CONFIG.json [--pack TOKENS]     (in the environment of bench/setup.sh)

With --pack, rows are packed to so many tokens by trl's best-fit (packing=True): a step then has as many rows as fit, and other ones.
"""
from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from common import ClockCallback, Counts, load_model, parse_arguments, read_config, read_rows, report
from prompt import IGNORE
from rival import training_arguments


def count_batches() -> Counts:
    """Counts what goes through trl's own collator; it takes no other when nothing is padded."""
    counts, collate = Counts(), DataCollatorForLanguageModeling.torch_call

    def counted(self, examples: list[dict]) -> dict:
        batch = collate(self, examples)
        counts.add(examples, batch["input_ids"].numel())
        counts.targets[-1] = int((batch["labels"] != IGNORE).sum())  # the first tokens of rows within a packed one are none
        return batch
    DataCollatorForLanguageModeling.torch_call = counted
    return counts


def sft_config(config: dict, pack: int) -> SFTConfig:
    known = training_arguments(config)
    keys = {name: getattr(known, name) for name in SFTConfig.__dataclass_fields__ if hasattr(known, name)
            and SFTConfig.__dataclass_fields__[name].init}
    # trl refuses a length that it does not enforce: without packing it cuts nothing, and the rows are cut already
    keys |= {"packing": bool(pack), "padding_free": True, "max_length": pack or None, "gradient_checkpointing": False}
    return SFTConfig(**keys)


def main() -> None:
    arguments = parse_arguments(__doc__)
    config = read_config(arguments)
    counts, clock = count_batches(), ClockCallback()
    trainer = SFTTrainer(model=load_model(config, arguments), args=sft_config(config, arguments.pack),
                         train_dataset=Dataset.from_list(read_rows(config)), processing_class=AutoTokenizer.from_pretrained(config["model_name_or_path"]), callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    report(clock, counts, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
           ("peft", "accelerate", "trl"))


if __name__ == "__main__":
    main()
