"""The rivals: which script each one is, in which environment it runs, and what it is good for in the tables. Standard library only."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Rival:
    name: str
    script: str = "transformers_peft.py"        # in bench/rivals
    options: tuple[str, ...] = ()
    environment: str = "oracle"                 # oracle: tests/oracle/setup.sh, rivals: bench/setup.sh; binary: a program that the user built
    judged: bool = False                        # whether targets are held against it; it runs in every repetition, the others once a run
    best: bool = False                          # whether it counts for the best setting of transformers + peft
    batch: int = 0                              # rows a step; 0: as the workload
    same_rows: bool = True                      # whether its steps have the same rows as Lathe's
    variables: tuple[tuple[str, str], ...] = ()  # of its environment

    @property
    def folder(self) -> str:
        return "".join(letter if letter.isalnum() else "_" for letter in self.name)


BF16 = ("--weights", "bfloat16")
PEFT = Rival("transformers + peft", options=BF16, judged=True, best=True)
# The other settings a person would try; the best of them and of PEFT is what targets are held against.
PEFT_EAGER = Rival("transformers + peft, eager attention", options=(*BF16, "--attention", "eager"), best=True)
PEFT_BATCHES = tuple(Rival(f"transformers + peft, {n} row{'s' * (n > 1)} a step", options=BF16, best=True, batch=n, same_rows=False)
                     for n in (1, 4))  # 2 is PEFT itself, 8 the same of the row with 8
TRL = Rival("trl SFTTrainer, padding-free", "trl_sft.py", environment="rivals")
TRL_PACKED = Rival("trl SFTTrainer, packed to 512", "trl_sft.py", ("--pack", "512"), environment="rivals", batch=1, same_rows=False)
ACCELERATE = Rival("Accelerate, bare loop", "accelerate_loop.py", BF16)
DEEPSPEED = Rival("DeepSpeed, ZeRO-2", "deepspeed_loop.py", environment="rivals")
# Lathe keeps fp32 masters, so the rival that does the same arithmetic loads fp32 weights; the other one is for information.
MASTERS = Rival("transformers, fp32 masters", options=("--weights", "float32"), judged=True)
NO_MASTERS = Rival("transformers, bf16 weights without masters", options=BF16)
ACCELERATE_MASTERS = Rival("Accelerate, bare loop, fp32 masters", "accelerate_loop.py", ("--weights", "float32"))
LLAMA = Rival("llama.cpp finetune, fp32", "llama_finetune.py", environment="binary", same_rows=False)

# Rivals that need what is not here; the page names them.
NOT_RUN = ("unsloth and liger-kernel: only on a GPU",)
