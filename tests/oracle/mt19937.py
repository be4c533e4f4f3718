"""Writes values/mt19937.json: draws of torch's CPU generator that base/mt19937 must repeat bit for bit.

Made with torch 2.11.0; the seeds are below. Floats are stored by their bits.
"""
import json
from pathlib import Path

import torch

values = {"torch": torch.__version__, "uniform": [], "randperm": []}
for seed, count, low, high in [
    (0, 5, 0.0, 1.0),
    (42, 700, -1.0, 1.0),
    (42, 33, -0.02551551815399144, 0.02551551815399144),
    (1234, 1300, -0.7, 0.3),
    (2**33 + 7, 40, 5.0, 5.5),
]:
    torch.manual_seed(seed)
    drawn = torch.empty(count).uniform_(low, high)
    values["uniform"].append(
        {"seed": seed, "low": low, "high": high, "bits": drawn.view(torch.int32).tolist()}
    )
for seed, count in [(0, 0), (0, 1), (0, 2), (42, 10), (42, 1000), (2**63 + 5, 700)]:
    generator = torch.Generator()
    generator.manual_seed(seed if seed < 2**63 else seed - 2**64)
    values["randperm"].append(
        {"seed": seed, "count": count, "order": torch.randperm(count, generator=generator).tolist()}
    )
Path(__file__).with_name("values").joinpath("mt19937.json").write_text(json.dumps(values))
