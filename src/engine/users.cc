#include "engine/users.h"

#include <algorithm>
#include <functional>
#include <random>

namespace mgpu::engine {
namespace {

std::string random_salt() {
  std::random_device chance;
  std::string salt;
  for (int i = 0; i < 4; ++i) salt += std::to_string(chance());
  return salt;
}

}  // namespace

Users::Users(std::size_t kept) : kept_(std::max<std::size_t>(kept, 1)), salt_(random_salt()) {}

std::uint32_t Users::named(std::string_view name) { return number_of("name " + std::string(name), name); }

std::uint32_t Users::with_key(std::string_view api_key) {
  const std::size_t hash = std::hash<std::string>{}(salt_ + std::string(api_key));
  return number_of("key " + std::to_string(hash), "");
}

std::string Users::shown(std::uint32_t number) const {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return "";
  const User& user = *found->second;
  return user.shown.empty() ? "key " + std::to_string(user.number) : user.shown;
}

std::uint32_t Users::number_of(std::string mark, std::string_view shown) {
  if (const auto known = by_mark_.find(mark); known != by_mark_.end()) {
    users_.splice(users_.begin(), users_, known->second);
    return known->second->number;
  }
  if (users_.size() >= kept_) {
    by_mark_.erase(users_.back().mark);
    by_number_.erase(users_.back().number);
    users_.pop_back();
  }
  // After four thousand million users the numbers begin again.
  do ++last_;
  while (last_ == 0 || by_number_.contains(last_));
  users_.push_front({.mark = std::move(mark), .shown = std::string(shown), .number = last_});
  by_mark_.emplace(users_.front().mark, users_.begin());
  by_number_.emplace(last_, users_.begin());
  return last_;
}

}  // namespace mgpu::engine
