"""An event file written by the real TensorBoard writer, for tests/train/tensorboard_test.cpp.

Made with tensorboard 2.21.0's EventFileWriter classes and torch 2.11.0's text summary; no random numbers.
Run: python tests/oracle/train_tensorboard.py > tests/oracle/values/train_tensorboard.json
"""
import io
import json
import sys

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import text

WALL_TIME = 1700000000.25
SCALARS = [("train/loss", 2.345678, 1), ("train/grad_norm", 0.5, 1), ("eval/loss", 1e-9, 300),
           ("train/epoch", 0.0, 0)]
TEXT = "{\n \"learning_rate\": 0.002\n}"


class Buffer(io.BytesIO):
    def flush(self):
        pass


buffer = Buffer()
writer = RecordWriter(buffer)
writer.write(Event(wall_time=WALL_TIME, file_version="brain.Event:2").SerializeToString())
for tag, value, step in SCALARS:
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    writer.write(Event(wall_time=WALL_TIME, step=step, summary=summary).SerializeToString())
writer.write(Event(wall_time=WALL_TIME, step=0, summary=text("args", TEXT)).SerializeToString())
json.dump({"wall_time": WALL_TIME, "scalars": [dict(tag=t, value=v, step=s) for t, v, s in SCALARS], "text": TEXT,
           "file": buffer.getvalue().hex()}, sys.stdout, indent=1)
print()
