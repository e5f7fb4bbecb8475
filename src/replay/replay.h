// A workload lived through in a house, decided by the same `step` that a daemon calls, in virtual time.
//
// What the shell and the world outside do is modelled: a load takes its true seconds and then shows in the
// readings; an eviction answers after its own; a reading comes two milliseconds after it was asked for, and
// none otherwise; jobs that compute at once share the device's speed. Nothing fails here: that is the
// simulator's trade (tests/sim). Deterministic.
#pragma once

#include "replay/house.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::replay {

Outcome replay(const House& house, const Workload& workload);

}  // namespace mgpu::replay
