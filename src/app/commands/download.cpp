// lathe download: a model from the hub into a folder.
#include <fmt/format.h>
#include <lathe/error.h>

#include <cstdio>
#include <memory>

#include "app/commands/commands.h"
#include "app/hub.h"
#include "app/model_lookup.h"

namespace lathe {
namespace {

struct DownloadWords {
  std::string name;
  std::string directory;
};

int run_download(const DownloadWords& words) {
  if (!is_hub_name(words.name)) {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' is no name that a model on the hub can have", words.name), {},
                "names are NAME or OWNER/NAME");
  }
  const HubSettings settings = hub_settings_from_environment();
  if (settings.offline) {
    throw Error(ErrorKind::kConfig, "HF_HUB_OFFLINE is set, so nothing is downloaded", {}, "unset it");
  }
  const std::string directory = words.directory.empty() ? download_folder(words.name, std::nullopt) : words.directory;
  download_model(settings, words.name, directory);
  fmt::print("{}\n", directory);
  return 0;
}

}  // namespace

Command download_command() {
  return {"download", "Fetch a model from the Hugging Face hub (HF_ENDPOINT, HF_TOKEN)", [](CommandOptions& options) {
            auto words = std::make_shared<DownloadWords>();
            options.required("name", words->name, "the model's name on the hub, e.g. Qwen/Qwen2.5-0.5B-Instruct");
            options.option("-o,--output", words->directory, "the folder to fill; models/<basename> when not given");
            options.footer("A transfer that breaks off goes on where it stopped when the command is run again.");
            return [words] { return run_download(*words); };
          }};
}

}  // namespace lathe
