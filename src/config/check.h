// Checks across keys: duplicate names, keys that exclude or require each other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/value.h"

namespace mgpu::config {

// The position of each path that the file contains: "consumers.chat.url"; in a list "devices[0].id".
using SourceMarks = std::map<std::string, Mark>;

// Sets values that follow from others: the service type of a consumer with a url, the url of a process with
// ${PORT} in its command.
void fill_derived_values(Config& config, const SourceMarks& marks);

// Checks a config after fill_derived_values. `check_files`: also that its programs and folders exist.
std::vector<Diagnostic> check(const Config& config, const SourceMarks& marks, const std::string& file,
                              bool check_files);

}  // namespace mgpu::config
