"""The report on made-up runs: which rival counts, what is reached, what is quoted. Standard library only."""
import dataclasses
import json
import unittest

import figures
import machine
import quotes
import report
from kernel_rows import KERNEL_ROWS
from peers import PEFT, PEFT_BATCHES, PEFT_EAGER
from samples import Sample
from workloads import WORKLOADS

SHAPE = "qwen2.5-0.5b"
MACHINE = {"processor": "P", "cores": 2, "memory_gib": 8, "instructions": ["avx512_bf16"], "threads": 2, "gpus": []}


def sample(speed: float, steps: int = 5, rss: float = 1e9, first: float = 10) -> dict:
    """Steps of 100 tokens; the first one takes ten seconds and must not count."""
    return dataclasses.asdict(Sample(startup=1, ends=[first + 100 / speed * i for i in range(steps)], tokens=[100] * steps,
                                     losses=[2.0] * steps, targets=[50] * steps, padded=[120] * steps, peak_rss=int(rss)))


def result(workload: str, ours: float, rivals: dict[str, list[dict]], rss: float = 1e9) -> dict:
    return {"shape": SHAPE, "workload": workload, "steps": 5, "tokens": 400, "targets": 200, "ours": [sample(ours, rss=rss)],
            "rivals": rivals, "rates": [{"model_flops": 8e11, "cube_flops": 9e11, "copy_bytes": 5e10, "rows": 100}]}


def run(*results: dict, kernels: tuple = ()) -> dict:
    return {"date": "2026-01-01", "machine": MACHINE, "versions": {"lathe": "0"}, "results": list(results), "kernels": list(kernels)}


def lora_2rows(ours: float, peft: float, eager: float = 1, one_row: float = 1, rss: float = 1e9) -> dict:
    return result("lora_2rows", ours, {PEFT.name: [sample(peft, rss=4e9)], PEFT_EAGER.name: [sample(eager, steps=3)],
                                       PEFT_BATCHES[0].name: [sample(one_row)]}, rss)


class ReportTest(unittest.TestCase):
    def figure(self, document: dict, line: str, workload: str = "lora_2rows"):
        return figures.figures(document)[f"{SHAPE}/{workload}/{line}"]

    def test_the_first_step_does_not_count(self):
        self.assertAlmostEqual(Sample(**sample(250)).tokens_per_second(), 250)
        self.assertAlmostEqual(Sample(**sample(250, first=99)).tokens_per_second(3), 250)

    def test_the_faster_attention_is_the_one_held_against(self):
        one = self.figure(run(lora_2rows(300, peft=100, eager=150)), "speed")
        self.assertEqual(one.rival, PEFT_EAGER.name)
        self.assertAlmostEqual(one.value, 2)
        self.assertFalse(one.reached)
        self.assertEqual(self.figure(run(lora_2rows(300, peft=100)), "speed").rival, PEFT.name)

    def test_a_start_is_listed_by_its_parts(self):
        start = result("startup", 300, {PEFT.name: [sample(100)]})
        self.assertNotIn("libraries", report.page([run(start)]))
        start["ours"][0] |= {"start_parts": {"settings": 0.001, "rows": 0.3, "weights": 0.1}, "start_stolen": 0.25}
        self.assertIn("- 1.00 s: program and libraries 0.60 s, rows 0.30 s, weights 0.10 s; the machine's host gave 0.25 s of the cores",
                      report.page([run(start)]))

    def test_time_given_to_others_counts_until_the_first_step(self):
        finished = machine.Finished(100, 0, 0, "", "", stolen=[(99.9, 7.0), (100.5, 7.2), (101.5, 9.0)])
        self.assertAlmostEqual(finished.stolen_until(101), 0.2)
        self.assertEqual(machine.Finished(100, 0, 0, "", "").stolen_until(101), 0)

    def test_another_batch_size_counts_for_its_own_line_only(self):
        document = run(lora_2rows(300, peft=100, one_row=150), result("lora_8rows", 300, {PEFT.name: [sample(200)]}))
        self.assertAlmostEqual(self.figure(document, "speed").value, 3)
        self.assertAlmostEqual(self.figure(document, "speed_any_batch").value, 1.5)  # eight rows, from the other row

    def test_a_processor_without_bf16_products_is_said(self):
        document = run(lora_2rows(300, peft=100))
        self.assertNotIn("widened", report.page([document]))
        self.assertIn("quoted as", report.page([document]))
        plain = report.page([{**document, "machine": {**MACHINE, "instructions": ["avx2"]}}])
        self.assertIn("processors without bf16", plain)
        self.assertIn("widened", plain)
        self.assertNotIn("quoted as", plain)

    def test_the_peak_is_of_the_type_that_the_processor_multiplies(self):
        measured = {"shape": SHAPE, "rounds": [{"attention/512": 4e11, "peak": 1e12, "aten_attention/512": 1e11}]}
        document = run(lora_2rows(300, peft=100), kernels=(measured,))
        self.assertIn("Peak, bf16,", report.page([document]))
        self.assertIn("Peak, fp32,", report.page([{**document, "machine": {**MACHINE, "instructions": ["avx2"]}}]))

    def test_rows_that_the_last_run_left_out_come_from_the_one_before(self):
        whole, part = run(lora_2rows(300, peft=100), result("lora_8rows", 300, {PEFT.name: [sample(200)]})), run(lora_2rows(300, peft=100))
        self.assertIn("those of one step, LoRA, 8 rows", report.page([whole, part]))

    def test_each_kind_of_processor_has_its_page_notes_and_figures(self):
        document = run(lora_2rows(300, peft=200))
        tiles = {**document, "machine": {**MACHINE, "instructions": ["avx512_bf16", "amx_bf16"]}}
        self.assertIs(report.kind_of([tiles]), machine.AMX)
        self.assertIs(report.kind_of([tiles, document]), machine.AVX512)
        self.assertIn(f"| avx512/{SHAPE}/lora_2rows/speed |", report.page([document]))
        self.assertIn(f"| {SHAPE}/lora_2rows/speed |", report.page([tiles]))
        said = {"lora_2rows/speed": "of all", "lora_2rows/speed/amx": "of tiles"}
        self.assertIn("of tiles", report.notes([tiles], said))
        self.assertIn("of all", report.notes([document], said))
        self.assertIn("of all", report.notes([tiles], {"lora_2rows/speed": "of all"}))

    def test_a_mark_belongs_to_one_kind(self):
        self.assertTrue(quotes.belongs(f"{SHAPE}/lora_2rows/speed", machine.AMX.figures))
        self.assertFalse(quotes.belongs(f"avx512/{SHAPE}/lora_2rows/speed", machine.AMX.figures))
        self.assertTrue(quotes.belongs(f"avx512/{SHAPE}/lora_2rows/speed", machine.AVX512.figures))
        self.assertFalse(quotes.belongs(f"{SHAPE}/lora_2rows/speed", machine.AVX512.figures))

    def test_memory_is_held_against_the_judged_rival(self):
        self.assertAlmostEqual(self.figure(run(lora_2rows(300, peft=100, eager=150)), "memory").value, 0.25)

    def test_reached_only_when_both_runs_reach(self):
        good, bad = run(lora_2rows(300, peft=100)), run(lora_2rows(200, peft=100))
        speeds = [self.figure(document, "speed") for document in (good, bad)]
        self.assertEqual(report.verdict(speeds), "**no**")
        self.assertEqual(report.verdict([speeds[0], speeds[0]]), "yes")
        self.assertEqual(report.verdict(speeds[:1]), "yes (one run)")
        self.assertEqual(report.verdict([None]), "not measured")

    def test_the_less_favourable_run_is_quoted(self):
        documents = [run(lora_2rows(300, peft=100, rss=2e9)), run(lora_2rows(250, peft=100))]
        known = quotes.quoted(documents, "")
        self.assertEqual(known[f"{SHAPE}/lora_2rows/speed"], "2.50")
        self.assertEqual(known[f"{SHAPE}/lora_2rows/memory"], "0.50")
        self.assertIn("3.00× · 2.50×", report.page(documents))

    def test_a_note_stands_only_while_its_target_is_missed(self):
        said = {f"{SHAPE}/lora_2rows/speed": "because of this", "lora_2rows/memory": "because of that"}
        missed = report.notes([run(lora_2rows(1, peft=1))], said)
        self.assertIn("because of this", missed)
        self.assertNotIn("because of that", missed)
        self.assertIn("no note", missed)  # the share of the limit

    def test_a_text_stands_once_for_all_its_lines(self):
        said = {f"lora_2rows/{line}": "the same cause" for line in ("speed", "share")}
        missed = report.notes([run(lora_2rows(1, peft=1))], said)
        self.assertEqual(missed.count("the same cause"), 1)
        self.assertIn(f"share of the matrix-product limit ({SHAPE})", missed)

    def test_no_line_has_two_notes(self):
        keys = [key for note in json.loads(report.NOTES.read_text(encoding="utf-8")) for key in note["of"]]
        self.assertEqual(len(keys), len(set(keys)))

    def test_every_note_names_a_row(self):
        rows = {f"{name}/{line}" for name, workload in WORKLOADS.items() for line in workload.targets} | \
            {f"kernels/{row.name}" for row in KERNEL_ROWS}
        endings = tuple(ending for kind in machine.KINDS for ending in kind.notes if ending)
        for key in report.read_notes():
            key = next((key.removesuffix(ending) for ending in endings if key.endswith(ending)), key)
            self.assertTrue(key in rows or key.split("/", 1)[1] in rows, f"notes.json has {key}, which is no row")

    def test_kernels_are_held_against_peak_and_copy(self):
        rates = {"peak": 1e12, "attention/512": 4e11, "aten_attention/512": 1e11, "adamw": 4.6e10, "copy/adamw": 5e10}
        made = figures.figures(run(kernels=({"shape": SHAPE, "rounds": [rates]},)))
        self.assertFalse(made[f"{SHAPE}/kernels/attention/512"].reached)
        self.assertAlmostEqual(made[f"{SHAPE}/kernels/attention/512"].ratio, 4)
        self.assertTrue(made[f"{SHAPE}/kernels/adamw"].reached)

    def test_a_rival_that_is_not_there_says_so(self):
        page = report.page([run(result("lora_2rows", 300, {PEFT.name: [sample(100)],
                                                           "DeepSpeed, ZeRO-2": [dataclasses.asdict(Sample(failed="not measured: x"))]}))])
        self.assertIn("| DeepSpeed, ZeRO-2: real tokens/s | 300 | not measured: x | – |", page)


if __name__ == "__main__":
    unittest.main()
