"""Row order of transformers' Trainer with train_sampling_strategy "group_by_length", recorded from real runs.

Writes values/row_order_grouped.json: for each case the rows' lengths and the rows of every micro-batch, grouped into the
updates of the optimizer, as data_row_order.py does. Nothing in these runs draws random numbers but the loader.
Made with torch 2.11.0, transformers 5.23.0, accelerate 1.15.0; seeds are in the cases.

    python tests/oracle/data_row_order_grouped.py
"""

import json
import pathlib
import random
import sys
import tempfile

import torch
from transformers import Trainer, TrainingArguments

from data_row_order import EPOCHS, Recorder, Updates

# rows, batch, accumulation, drop_last, seed
CASES = [
    (1, 1, 1, False, 42),
    (7, 2, 2, False, 42),
    (64, 2, 2, False, 42),
    (70, 4, 4, False, 42),
    (70, 4, 5, True, 1234),
    (150, 1, 2, False, 3),
    (101, 3, 1, False, 2147483646),
]


class Rows(torch.utils.data.Dataset):
    def __init__(self, lengths):
        self.lengths = lengths

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index):
        return {"input_ids": [0] * self.lengths[index], "row": index, "labels": 1.0}


def collate(features):
    return {"row": torch.tensor([f["row"] for f in features]), "labels": torch.tensor([f["labels"] for f in features])}


def record(rows, batch, accumulation, drop_last, seed):
    generator = random.Random(rows)
    lengths = [generator.randrange(3, 30) for _ in range(rows)]  # many of equal length: ties count
    model = Recorder()
    recorder = Updates(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, num_train_epochs=EPOCHS, per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation, dataloader_drop_last=drop_last, seed=seed, report_to="none",
            save_strategy="no", logging_strategy="no", disable_tqdm=True, use_cpu=True,
            train_sampling_strategy="group_by_length")
        Trainer(model=model, args=arguments, train_dataset=Rows(lengths), data_collator=collate,
                callbacks=[recorder]).train()
    return {"lengths": lengths, "batch_size": batch, "gradient_accumulation_steps": accumulation,
            "drop_last": drop_last, "seed": seed, "epochs": EPOCHS, "updates": recorder.updates}


def main():
    cases = [record(*case) for case in CASES]
    path = pathlib.Path(__file__).parent / "values" / "row_order_grouped.json"
    path.write_text(json.dumps({"cases": cases}, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
