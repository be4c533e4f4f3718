#include "model/parameter.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <system_error>

namespace lathe {
namespace {

struct SiteName {
  Site site;
  BlockId::Kind kind;
  std::string_view module;  // below "model.layers.N." for layers, whole otherwise
  std::string_view projection;
};

// The one table of names on disk.
constexpr std::array<SiteName, kNumSites> kSiteNames = {{
    {Site::kEmbedTokens, BlockId::Kind::kEmbedding, "model.embed_tokens", ""},
    {Site::kInputNorm, BlockId::Kind::kLayer, "input_layernorm", ""},
    {Site::kQ, BlockId::Kind::kLayer, "self_attn.q_proj", "q_proj"},
    {Site::kK, BlockId::Kind::kLayer, "self_attn.k_proj", "k_proj"},
    {Site::kV, BlockId::Kind::kLayer, "self_attn.v_proj", "v_proj"},
    {Site::kQNorm, BlockId::Kind::kLayer, "self_attn.q_norm", ""},
    {Site::kKNorm, BlockId::Kind::kLayer, "self_attn.k_norm", ""},
    {Site::kO, BlockId::Kind::kLayer, "self_attn.o_proj", "o_proj"},
    {Site::kPostNorm, BlockId::Kind::kLayer, "post_attention_layernorm", ""},
    {Site::kGate, BlockId::Kind::kLayer, "mlp.gate_proj", "gate_proj"},
    {Site::kUp, BlockId::Kind::kLayer, "mlp.up_proj", "up_proj"},
    {Site::kDown, BlockId::Kind::kLayer, "mlp.down_proj", "down_proj"},
    {Site::kFinalNorm, BlockId::Kind::kHead, "model.norm", ""},
    {Site::kLmHead, BlockId::Kind::kHead, "lm_head", "lm_head"},
}};

constexpr std::array<std::string_view, kNumParts> kPartNames = {".weight", ".bias", ".lora_A.weight", ".lora_B.weight",
                                                                ".lora_magnitude_vector"};
constexpr std::string_view kLayers = "model.layers.";
constexpr std::string_view kPeftPrefix = "base_model.model.";

const SiteName& entry(Site site) {
  return kSiteNames[static_cast<size_t>(site)];
}

// "3.self_attn.q_proj" → 3, leaving "self_attn.q_proj".
std::optional<int32_t> take_layer(std::string_view& name) {
  int32_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || layer < 0 || end == name.data() + name.size() || *end != '.') return std::nullopt;
  if (std::to_string(layer).size() != static_cast<size_t>(end - name.data())) return std::nullopt;
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  return layer;
}

}  // namespace

std::string module_name(const ParameterId& id) {
  const SiteName& name = entry(id.site);
  if (name.kind != BlockId::Kind::kLayer) return std::string(name.module);
  return fmt::format("{}{}.{}", kLayers, id.block.layer, name.module);
}

std::string hf_name(const ParameterId& id) {
  return module_name(id) + std::string(kPartNames[static_cast<size_t>(id.part)]);
}

std::string peft_name(const ParameterId& id) {
  return std::string(kPeftPrefix) + hf_name(id);
}

std::optional<ParameterId> parse_hf_name(std::string_view name) {
  if (name.starts_with(kPeftPrefix)) name.remove_prefix(kPeftPrefix.size());
  ParameterId id;
  bool found = false;
  // The adapter's endings are longer than ".weight" and end in it: the last match is the right one.
  for (size_t part = 0; part < kNumParts; ++part) {
    if (!name.ends_with(kPartNames[part])) continue;
    id.part = static_cast<Part>(part);
    found = true;
  }
  if (!found) return std::nullopt;
  name.remove_suffix(kPartNames[static_cast<size_t>(id.part)].size());
  BlockId::Kind kind = BlockId::Kind::kEmbedding;
  if (name.starts_with(kLayers)) {
    name.remove_prefix(kLayers.size());
    const std::optional<int32_t> layer = take_layer(name);
    if (!layer) return std::nullopt;
    kind = BlockId::Kind::kLayer;
    id.block.layer = *layer;
  }
  for (const SiteName& site : kSiteNames) {
    if (site.module != name || (site.kind == BlockId::Kind::kLayer) != (kind == BlockId::Kind::kLayer)) continue;
    id.block.kind = site.kind;
    id.site = site.site;
    return id;
  }
  return std::nullopt;
}

std::string_view projection_name(Site site) {
  return entry(site).projection;
}

}  // namespace lathe
