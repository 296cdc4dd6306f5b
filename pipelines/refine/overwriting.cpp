// SPDX-License-Identifier: Apache-2.0
#include "pipelines/refine/overwriting.h"

#include <sys/stat.h>

#include <map>
#include <string>
#include <utility>

#include "pipelines/refine/failure.h"
#include "pipelines/refine/image_file.h"

namespace rgbd {
namespace {

/// What a name leads to: device and inode where there is a file, else empty.
std::string existing_file(const std::string& path) {
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0) return "";
  return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino);
}

/// The same of a file that may still have to be made: then its path, which begins with a slash.
std::string file_to_write(const std::string& path) {
  const std::string target = written_file(path).string();
  const std::string existing = existing_file(target);
  return existing.empty() ? target : existing;
}

std::string quoted(const std::string& flag, const std::string& path) {
  return flag + " '" + path + "'";
}

}  // namespace

void require_files_of_their_own(const RefineOptions& options, const PairList& list) {
  std::map<std::string, std::string> sources, results;  // the file: how it was named
  for (const std::string& input : list.inputs)
    sources.emplace(existing_file(input), quoted("the input", input));
  sources.emplace(existing_file(options.model), quoted("the model", options.model));

  for (const PairFiles& files : list.pairs) {
    for (const auto& [flag, path] :
         {std::pair{"--output", files.output}, std::pair{"--output-depth", files.output_depth}}) {
      if (path.empty()) continue;
      const std::string file = file_to_write(path);
      const std::string name = quoted(flag, path);
      if (const auto source = sources.find(file); source != sources.end())
        throw Failure(name + " would overwrite " + source->second, kExitUsage);
      const auto [other, first] = results.emplace(file, name);
      if (!first) throw Failure(other->second + " and " + name + " are the same file", kExitUsage);
    }
  }
}

}  // namespace rgbd
