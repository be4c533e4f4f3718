// What the fp16 preset's loss scale is after each step of a given pattern, for live_scaler.py.
//
// usage: parity_loss_scaler < PATTERN     a digit a step: 1 overflows, 0 does not; a scale a line
#include <fmt/format.h>

#include <iostream>

#include "config/training_arguments.h"
#include "engine/loss_scaler.h"

int main() {
  lathe::TrainingArguments args;
  args.fp16_in_bf16 = true;
  const auto scaler = lathe::make_loss_scaler(args);
  for (char step = 0; std::cin.get(step) && (step == '0' || step == '1');) {
    scaler->update(step == '1');
    fmt::print("{}\n", scaler->scale());
  }
  return 0;
}
