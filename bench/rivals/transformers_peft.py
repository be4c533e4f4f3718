"""The rival: transformers' Trainer, with peft where the config asks for LoRA. Padding to the longest row of each batch.

usage: transformers_peft.py CONFIG.json [--weights bfloat16|float32] [--attention sdpa|eager]  (in the environment of tests/oracle/setup.sh)
"""
from transformers import PrinterCallback, Trainer

from common import ClockCallback, Collator, load_model, parse_arguments, read_config, read_rows, report
from rival import training_arguments


def main() -> None:
    arguments = parse_arguments(__doc__)
    config = read_config(arguments)
    collator, clock = Collator(), ClockCallback()
    trainer = Trainer(model=load_model(config, arguments), args=training_arguments(config), data_collator=collator,
                      train_dataset=read_rows(config), callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    report(clock, collator, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], ("peft", "accelerate"))


if __name__ == "__main__":
    main()
