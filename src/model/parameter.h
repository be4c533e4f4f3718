#pragma once
// Names for weights that say nothing of how they are stored: a block, a site in it, a part of the site.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lathe {

/// What acquire() hands out as a whole: the embedding, a decoder layer, the head (final norm and lm_head).
struct BlockId {
  enum class Kind : uint8_t { kEmbedding, kLayer, kHead };
  Kind kind = Kind::kLayer;
  int32_t layer = 0;  ///< 0 for the other kinds
  auto operator<=>(const BlockId&) const = default;
  static constexpr BlockId embedding() { return {Kind::kEmbedding, 0}; }
  static constexpr BlockId head() { return {Kind::kHead, 0}; }
  static BlockId decoder(int64_t index) { return {Kind::kLayer, static_cast<int32_t>(index)}; }
};

enum class Site : uint8_t {
  kEmbedTokens,  // embedding
  kInputNorm,
  kQ,
  kK,
  kV,
  kQNorm,
  kKNorm,
  kO,
  kPostNorm,  // layer: attention
  kGate,
  kUp,
  kDown,  // layer: MLP
  kFinalNorm,
  kLmHead,  // head
};
inline constexpr size_t kNumSites = 14;

enum class Part : uint8_t { kWeight, kBias, kLoraA, kLoraB, kLoraMagnitude };
inline constexpr size_t kNumParts = 5;
/// Of an adapter beside a weight.
[[nodiscard]] constexpr bool is_adapter(Part part) {
  return part >= Part::kLoraA;
}

struct ParameterId {
  BlockId block;
  Site site = Site::kEmbedTokens;
  Part part = Part::kWeight;
  auto operator<=>(const ParameterId&) const = default;
};
/// The two ends that tied embeddings make one.
inline constexpr ParameterId kTableId{BlockId::embedding(), Site::kEmbedTokens, Part::kWeight};
inline constexpr ParameterId kHeadId{BlockId::head(), Site::kLmHead, Part::kWeight};

/// "model.layers.3.self_attn.q_proj" — the module as transformers names it.
[[nodiscard]] std::string module_name(const ParameterId& id);
/// "model.layers.3.self_attn.q_proj.weight"; for adapter parts "….lora_A.weight", "….lora_magnitude_vector" (no peft
/// prefix).
[[nodiscard]] std::string hf_name(const ParameterId& id);
/// "base_model.model." + hf_name, as peft writes adapter files.
[[nodiscard]] std::string peft_name(const ParameterId& id);
/// The reverse of hf_name and of peft_name. nullopt: not a name of these models.
[[nodiscard]] std::optional<ParameterId> parse_hf_name(std::string_view name);
/// "q_proj", … ; "" for sites that are not linear projections.
[[nodiscard]] std::string_view projection_name(Site site);

}  // namespace lathe
