#include "engine/user_table.h"

#include <algorithm>
#include <functional>
#include <random>

namespace mgpu::engine {
namespace {

std::string random_salt() {
  std::random_device entropy;
  std::string salt;
  for (int i = 0; i < 4; ++i) salt += std::to_string(entropy());
  return salt;
}

}  // namespace

UserTable::UserTable(std::size_t max_users)
    : max_users_(std::max<std::size_t>(max_users, 1)), salt_(random_salt()) {}

std::uint32_t UserTable::number_by_name(std::string_view name) {
  return find_or_add("name " + std::string(name), name);
}

std::uint32_t UserTable::number_by_key(std::string_view api_key) {
  const std::size_t hash = std::hash<std::string>{}(salt_ + std::string(api_key));
  return find_or_add("key " + std::to_string(hash), "");
}

std::string UserTable::label(std::uint32_t number) const {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return "";
  const User& user = *found->second;
  return user.label.empty() ? "key " + std::to_string(user.number) : user.label;
}

std::uint32_t UserTable::find_or_add(std::string lookup_key, std::string_view label) {
  if (const auto known = by_lookup_key_.find(lookup_key); known != by_lookup_key_.end()) {
    users_.splice(users_.begin(), users_, known->second);
    return known->second->number;
  }
  if (users_.size() >= max_users_) {
    by_lookup_key_.erase(users_.back().lookup_key);
    by_number_.erase(users_.back().number);
    users_.pop_back();
  }
  // The numbers wrap around after 2^32 users.
  do ++last_number_;
  while (last_number_ == 0 || by_number_.contains(last_number_));
  users_.push_front(
      {.lookup_key = std::move(lookup_key), .label = std::string(label), .number = last_number_});
  by_lookup_key_.emplace(users_.front().lookup_key, users_.begin());
  by_number_.emplace(last_number_, users_.begin());
  return last_number_;
}

}  // namespace mgpu::engine
