#pragma once
// What the Trainer asks of the machines it runs on. One rank here; more ranks answer the same questions.
#include <cstdint>

namespace lathe {

class Accelerator {
 public:
  [[nodiscard]] static int64_t sum(int64_t value) { return value; }  ///< over ranks
  [[nodiscard]] static double sum(double value) { return value; }
  [[nodiscard]] static bool is_main_process() { return true; }  ///< the one that writes and speaks
  [[nodiscard]] static int64_t num_processes() { return 1; }
  /// Returns when every gradient of this update is whole on this rank.
  static void wait_for_gradients() {}
};

}  // namespace lathe
