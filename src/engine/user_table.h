// Maps the users that fair shares distinguish to numbers for the core: one per name and one per API key. Keys
// are not stored; the lookup uses a hash that is meaningless outside this process. The table is bounded: the
// user with the oldest request is removed, and gets a new number with the next request.
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

  // Numbers start at 1; a known user keeps its number.
  std::uint32_t number_by_name(std::string_view name);
  std::uint32_t number_by_key(std::string_view api_key);

  // For display: the name, or "key 7". Empty for 0 and for a removed user.
  std::string label(std::uint32_t number) const;

 private:
  struct User {
    std::string lookup_key{};  // key of by_lookup_key_
    std::string label{};
    std::uint32_t number = 0;
  };
  std::uint32_t find_or_add(std::string lookup_key, std::string_view label);

  std::size_t max_users_;
  std::string salt_;
  std::uint32_t last_number_ = 0;
  std::list<User> users_{};  // most recent request first
  std::map<std::string, std::list<User>::iterator, std::less<>> by_lookup_key_{};
  std::map<std::uint32_t, std::list<User>::iterator> by_number_{};
};

}  // namespace mgpu::engine
