// The users that fair shares tell apart, as numbers for the core: each name has one, and each API key. A key
// itself is kept nowhere, only a hash of it that means nothing outside this process. The table is bounded:
// the user that made no request for the longest time is forgotten, and gets a new number the next time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>

namespace mgpu::engine {

inline constexpr std::size_t kMaxUsers = 4096;

class UserTable {
 public:
  explicit UserTable(std::size_t max_users = kMaxUsers);

  // Numbers from 1; a known user has the same number as before.
  std::uint32_t number_by_name(std::string_view name);
  std::uint32_t number_by_key(std::string_view api_key);

  // For people: the name, or "key 7". Empty for 0 and for a forgotten user.
  std::string label(std::uint32_t number) const;

 private:
  struct User {
    std::string lookup_key{};  // what it is found by
    std::string label{};
    std::uint32_t number = 0;
  };
  std::uint32_t find_or_add(std::string lookup_key, std::string_view label);

  std::size_t max_users_;
  std::string salt_;
  std::uint32_t last_number_ = 0;
  std::list<User> users_{};  // the latest to make a request first
  std::map<std::string, std::list<User>::iterator, std::less<>> by_lookup_key_{};
  std::map<std::uint32_t, std::list<User>::iterator> by_number_{};
};

}  // namespace mgpu::engine
