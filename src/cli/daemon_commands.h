// Commands that send a request to the daemon and print its response. Each returns an exit code.
#pragma once

#include <string>

#include "cli/options.h"

namespace mgpu::cli {

int print_status(const Options& options);
int print_memory(const Options& options);
int print_consumers(const Options& options);
int print_line(const Options& options);
int print_footprints(const Options& options);
int forget_footprint(const Options& options);
int print_events(const Options& options);
int cancel_ticket(const Options& options);
int print_explanation(const Options& options);

// `verb`: "load", "unload" or "park".
int change_residency(const Options& options, const std::string& verb);

}  // namespace mgpu::cli
