// The programs that take device memory for the steps; each is a command of mgpu-gpu-check.
#pragma once

#include <string>
#include <vector>

namespace mgpu::gpu_check {

// hold BYTES [BYTES...]: takes BYTES of device memory (0: only a context), fills it, and prints
//   ready PID BYTES
// With further amounts it first starts itself once more with those, as its child. Commands on stdin:
//   free      gives the memory back       -> freed T0 T1    (before and after the driver's call, clock.h)
//   take      takes and fills it again    -> taken T0 T1
//   check     reads some of it            -> intact | changed | error ...
// It ends with its stdin, or with the process that started it.
int run_hold(const std::vector<std::string>& words);

// serve --port N --bytes N --working N --run-ms N --refused FILE: an HTTP service that takes BYTES of device
// memory at its start; GET /health answers 200 once it has it; each POST takes WORKING more, fills it, works
// RUN-MS and gives it back. A refused allocation appends a line to FILE: at the start the program ends, at a
// request it answers 500.
int run_serve(const std::vector<std::string>& words);

}  // namespace mgpu::gpu_check
