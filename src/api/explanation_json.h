// Explanations and what-if answers as JSON, with the sentences that are made from the same values.
#pragma once

#include "api/codec.h"
#include "domain/journal_entry.h"

#include "explain/explanation.h"
#include "explain/what_if.h"

namespace mgpu::api {

// What names ids, instants and users. Tickets that a sentence mentions are looked up in the journal.
struct RenderContext {
  const Registry& registry;
  const JournalEntries& journal;
  WallClock wall{};
  UserLabels user_labels{};
};

Json explanation_json(const explain::Explanation& explanation, const RenderContext& render_context);
Json what_if_json(const explain::WhatIf& what_if, const RenderContext& render_context);

}  // namespace mgpu::api
