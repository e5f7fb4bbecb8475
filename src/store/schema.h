// The shape of the file, by version. A file of an older version is brought up step by step, all or nothing;
// one of a newer version is left alone.
#pragma once

#include "store/database.h"

namespace mgpu::store {

// Errors: invalid_config (written by a newer mgpu, or by another program), unavailable.
Result<void> migrate_schema(Database& database);

}  // namespace mgpu::store
