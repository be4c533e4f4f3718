#pragma once
// One file of the hub onto the disk: tried again where it broke, checked, then renamed into place.
#include <string>

#include "app/http.h"
#include "app/hub.h"

namespace lathe {

[[nodiscard]] HttpRequest hub_request(const HubSettings& settings, const std::string& url);

/// Bytes gather in "PATH.<id>.incomplete" (the id is the content's, so another version's bytes are never gone on with).
/// The size and SHA-256 expected are the listing's, or those in the answer's headers (x-linked-size, x-linked-etag).
/// @throws Error(kIo), Error(kConfig) when access is refused
void download_hub_file(const HubSettings& settings, const std::string& url, const HubFile& file,
                       const std::string& path);

}  // namespace lathe
