"""Row order and updates of transformers' Trainer, recorded from real runs.

Writes values/row_order.json: for each case the rows of every micro-batch, in the order in which the model saw them,
grouped into the updates of the optimizer.
Made with torch 2.11.0, transformers 5.23.0, accelerate 1.15.0; seeds are in the cases.

    python tests/oracle/data_row_order.py
"""

import json
import pathlib
import sys
import tempfile

import accelerate
import torch
import transformers
from transformers import Trainer, TrainerCallback, TrainingArguments

EPOCHS = 3
# rows, batch, accumulation, drop_last, seed, data_seed
CASES = [
    (1, 1, 1, False, 42, None),
    (7, 2, 1, False, 42, None),
    (7, 2, 2, False, 42, None),
    (7, 2, 2, True, 42, None),
    (8, 2, 2, False, 0, None),
    (12, 4, 1, True, 7, None),
    (70, 4, 4, False, 42, None),
    (70, 4, 4, True, 42, None),
    (70, 4, 5, False, 1234, 99),
    (33, 1, 8, False, 3, None),
    (5, 8, 4, False, 11, None),
    (101, 3, 2, False, 2147483646, None),
]


class Rows(torch.utils.data.Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return {"row": torch.tensor(index), "labels": torch.tensor(1.0)}


class Recorder(torch.nn.Module):
    """Remembers which rows came in each forward."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, row, labels, **_):
        self.seen.append(row.tolist())
        return {"loss": (self.weight * labels).mean()}


class Updates(TrainerCallback):
    """Closes a group of micro-batches at each update."""

    def __init__(self, model):
        self.model = model
        self.updates = []

    def on_step_end(self, args, state, control, **_):
        self.updates.append(self.model.seen)
        self.model.seen = []


def record(rows, batch, accumulation, drop_last, seed, data_seed):
    model = Recorder()
    recorder = Updates(model)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            dataloader_drop_last=drop_last,
            seed=seed,
            data_seed=data_seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        Trainer(model=model, args=arguments, train_dataset=Rows(rows), callbacks=[recorder]).train()
    assert model.seen == []
    return {
        "rows": rows,
        "batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "drop_last": drop_last,
        "seed": seed if data_seed is None else data_seed,
        "epochs": EPOCHS,
        "updates": recorder.updates,
    }


def main():
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "accelerate": accelerate.__version__}
    cases = [record(*case) for case in CASES]
    path = pathlib.Path(__file__).parent / "values" / "row_order.json"
    path.write_text(json.dumps({"versions": versions, "cases": cases}, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main()
