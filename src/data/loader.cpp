#include "data/loader.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "base/mt19937.h"

namespace lathe {
namespace {

int64_t divide_up(int64_t value, int64_t by) {
  return (value + by - 1) / by;
}

void append_row(const Sample& sample, Batch& batch) {
  const size_t length = sample.input_ids.size();
  batch.input_ids.insert(batch.input_ids.end(), sample.input_ids.begin(), sample.input_ids.end());
  if (length > 0) {
    batch.targets.insert(batch.targets.end(), sample.labels.begin() + 1, sample.labels.end());
    batch.targets.push_back(kIgnoreLabel);
  }
  for (size_t position = 0; position < length; ++position) batch.positions.push_back(static_cast<int32_t>(position));
  batch.cu_seqlens.push_back(static_cast<int32_t>(batch.input_ids.size()));
}

}  // namespace

int64_t Batch::num_targets() const {
  return std::count_if(targets.begin(), targets.end(), [](int32_t target) { return target != kIgnoreLabel; });
}

int64_t Batch::longest_row() const {
  int64_t longest = 0;
  for (size_t row = 1; row < cu_seqlens.size(); ++row) {
    longest = std::max<int64_t>(longest, cu_seqlens[row] - cu_seqlens[row - 1]);
  }
  return longest;
}

Batch make_batch(const Dataset& dataset, const std::vector<int64_t>& rows) {
  Batch batch;
  size_t tokens = 0;
  for (const int64_t row : rows) tokens += dataset.samples.at(static_cast<size_t>(row)).input_ids.size();
  batch.input_ids.reserve(tokens);
  batch.targets.reserve(tokens);
  batch.positions.reserve(tokens);
  batch.cu_seqlens.push_back(0);
  for (const int64_t row : rows) append_row(dataset.samples[static_cast<size_t>(row)], batch);
  batch.rows = rows;
  return batch;
}

TrainLoader::TrainLoader(const Dataset& dataset, LoaderOptions options) : dataset_(dataset), options_(options) {
  LATHE_ASSERT(options_.batch_size > 0 && options_.gradient_accumulation_steps > 0 && !dataset_.samples.empty());
  if (options_.packing_tokens > 0) make_packs();
  if (micro_batches_per_epoch() > 0) return;
  throw Error(ErrorKind::kConfig,
              fmt::format("leaves nothing to train on: {} {} do not fill one batch of {}", num_units(),
                          packs_.empty() ? "rows" : "packs", options_.batch_size),
              {{}, 0, "dataloader_drop_last"}, "set it to false, or lower per_device_train_batch_size");
}

int64_t TrainLoader::num_units() const {
  return static_cast<int64_t>(packs_.empty() ? dataset_.samples.size() : packs_.size());
}

// Packs are made once, not per epoch: every epoch has the same number of updates, and a total of steps can be said.
// Best fit: a row goes where it leaves the least room, into the oldest of equal packs.
void TrainLoader::make_packs() {
  std::set<std::pair<int64_t, size_t>> open;  // room, pack
  for (const int64_t row : order_of_epoch(0, static_cast<int64_t>(dataset_.samples.size()))) {
    const auto length = static_cast<int64_t>(dataset_.samples[static_cast<size_t>(row)].input_ids.size());
    auto found = open.lower_bound({length, 0});
    if (found == open.end()) {
      found = open.emplace(options_.packing_tokens, packs_.size()).first;
      packs_.emplace_back();
    }
    const auto [room, pack] = *found;
    packs_[pack].push_back(row);
    open.erase(found);
    if (room > length) open.emplace(room - length, pack);
  }
}

std::vector<int64_t> TrainLoader::order_of_epoch(int64_t epoch, int64_t count) const {
  if (options_.group_by_length && options_.packing_tokens == 0) return grouped_order(epoch, count);
  if (options_.shuffle) {
    Mt19937 generator(options_.seed + static_cast<uint64_t>(epoch));
    return random_permutation(count, generator);
  }
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

// The sampler draws from the program's one generator, which goes on from epoch to epoch; each epoch's loader first
// takes one number of 64 bits from it for workers that do not exist.
std::vector<int64_t> TrainLoader::grouped_order(int64_t epoch, int64_t count) const {
  Mt19937 generator(options_.seed);
  std::vector<int64_t> order;
  for (int64_t i = 0; i <= epoch; ++i) {
    generator.discard(2);
    order = random_permutation(count, generator);
  }
  const auto length = [&](int64_t row) { return dataset_.samples[static_cast<size_t>(row)].input_ids.size(); };
  const int64_t rows_an_update = options_.batch_size * options_.gradient_accumulation_steps;
  const int64_t group = rows_an_update * std::clamp<int64_t>(count / (rows_an_update * 4), 1, 50);
  auto longest = order.begin();
  for (int64_t begin = 0; begin < count; begin += group) {
    const auto first = order.begin() + begin, last = order.begin() + std::min(begin + group, count);
    std::stable_sort(first, last, [&](int64_t a, int64_t b) { return length(a) > length(b); });
    if (length(*first) > length(*longest)) longest = first;
  }
  std::iter_swap(order.begin(), longest);  // a step that does not fit in memory shows at once
  return order;
}

int64_t TrainLoader::micro_batches_per_epoch() const {
  return options_.drop_last ? num_units() / options_.batch_size : divide_up(num_units(), options_.batch_size);
}

int64_t TrainLoader::left_out_per_epoch() const {
  return std::max<int64_t>(num_units() - micro_batches_per_epoch() * options_.batch_size, 0);
}

int64_t TrainLoader::updates_per_epoch() const {
  return divide_up(micro_batches_per_epoch(), options_.gradient_accumulation_steps);
}

std::vector<std::vector<int64_t>> TrainLoader::update_rows(int64_t index) const {
  const int64_t epoch = index / updates_per_epoch();
  if (epoch != cached_epoch_) {
    order_ = order_of_epoch(epoch, num_units());
    cached_epoch_ = epoch;
  }
  const int64_t first = index % updates_per_epoch() * options_.gradient_accumulation_steps;
  const int64_t last = std::min(first + options_.gradient_accumulation_steps, micro_batches_per_epoch());
  std::vector<std::vector<int64_t>> micro_batches;
  for (int64_t micro_batch = first; micro_batch < last; ++micro_batch) {
    const int64_t begin = micro_batch * options_.batch_size;
    const int64_t end = std::min(begin + options_.batch_size, num_units());
    std::vector<int64_t>& rows = micro_batches.emplace_back();
    for (int64_t i = begin; i < end; ++i) {
      const int64_t unit = order_[static_cast<size_t>(i)];
      if (packs_.empty()) {
        rows.push_back(unit);
      } else {
        const std::vector<int64_t>& pack = packs_[static_cast<size_t>(unit)];
        rows.insert(rows.end(), pack.begin(), pack.end());
      }
    }
  }
  return micro_batches;
}

std::vector<Batch> TrainLoader::update(int64_t index) const {
  return make_batches(update_rows(index));
}

std::vector<Batch> TrainLoader::make_batches(const std::vector<std::vector<int64_t>>& micro_batches) const {
  std::vector<Batch> batches;
  for (const std::vector<int64_t>& rows : micro_batches) batches.push_back(make_batch(dataset_, rows));
  return batches;
}

std::vector<std::vector<int64_t>> eval_batches(int64_t num_rows, int64_t batch_size) {
  LATHE_ASSERT(batch_size > 0);
  std::vector<std::vector<int64_t>> batches;
  for (int64_t begin = 0; begin < num_rows; begin += batch_size) {
    std::vector<int64_t>& batch = batches.emplace_back();
    for (int64_t row = begin; row < std::min(begin + batch_size, num_rows); ++row) batch.push_back(row);
  }
  return batches;
}

}  // namespace lathe
