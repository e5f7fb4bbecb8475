// What one value alone can't tell: names that clash, parts that belong together.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/value.h"

namespace mgpu::config {

// Where each path that the file really has stands: "consumers.chat.url". A list's items: "devices[0].id".
using SourceMarks = std::map<std::string, YAML::Mark>;

// Fills in what follows from the rest (the service of a consumer with a url, the url of a process with
// ${PORT}).
void fill_derived_values(Config& config, const SourceMarks& marks);

// Complaints about a completed config whose values were read well. `check_files`: also about programs and
// folders that are not there.
std::vector<Diagnostic> check(const Config& config, const SourceMarks& marks, const std::string& file,
                              bool check_files);

}  // namespace mgpu::config
