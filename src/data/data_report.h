#pragma once
// What is counted and said about the rows before step 1.
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lathe {

/// Fills the counts that follow from the samples alone: rows kept and without labels, tokens, lengths.
void measure_samples(const std::vector<Sample>& samples, DataReport& report);

/// Sentences about think blocks of the rows that the template does not know, or that it expects and the rows lack, and
/// about empty answers.
[[nodiscard]] std::vector<std::string> notes_on_answers(const std::vector<Row>& rows, const EncodeOptions& options);

/// The rows that were skipped, each with file, line and reason; beyond twenty, how many more.
[[nodiscard]] std::vector<std::string> notes_on_skipped(const std::vector<SkippedRow>& skipped);

}  // namespace lathe
