// A library loaded with dlopen. A pointer that find() returned is valid as long as the object.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include <dlfcn.h>

namespace mgpu::gpu {

class DynamicLibrary {
 public:
  // `name`: a path, or a soname that the loader looks up. On failure the object is false and dlerror() says
  // why.
  explicit DynamicLibrary(const std::string& name) : handle_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {}
  DynamicLibrary(DynamicLibrary&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  DynamicLibrary& operator=(DynamicLibrary&&) = delete;
  ~DynamicLibrary() {
    if (handle_) dlclose(handle_);
  }

  explicit operator bool() const { return handle_ != nullptr; }

  // The first of `names` that the library exports; null if none.
  template <class Function>
  Function* find(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (void* symbol = dlsym(handle_, name)) return reinterpret_cast<Function*>(symbol);
    }
    return nullptr;
  }

 private:
  void* handle_ = nullptr;
};

}  // namespace mgpu::gpu
