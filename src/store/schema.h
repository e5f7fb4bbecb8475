// The database schema and its versions. A file of an older version is migrated step by step, each step in one
// transaction; a file of a newer version is not changed.
#pragma once

#include "store/database.h"

namespace mgpu::store {

// Errors: invalid_config (written by a newer mgpu, or by another program), unavailable.
Result<void> migrate_schema(Database& database);

}  // namespace mgpu::store
