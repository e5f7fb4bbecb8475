// Test fixture: a tree of files of /sys and /proc, unpacked from one text into a temporary folder that is
// deleted with the object. The texts src/gpu/testdata/*.tree were written by hand from the documentation of
// the kernel and its drivers; none was recorded on a machine with such a device. tests/e2e/test_drm.py reads
// the same texts.
//
//   == sys/class/drm/card0/device/vendor       a file; its content follows, up to the next such line
//   =x sys/class/drm/card0/device/gpu_metrics  a file; its content follows as hexadecimal digits
//   -> proc/4711/fd/5 /dev/dri/renderD128      a symbolic link
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace mgpu::gpu {

class FileTree {
 public:
  explicit FileTree(const std::string& text) {
    std::string folder = (std::filesystem::temp_directory_path() / "mgpu-tree-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr)
      throw std::runtime_error("can't create the temporary folder " + folder);
    root_ = folder;
    std::istringstream lines(text);
    std::ofstream file;
    bool hexadecimal = false;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string mark, path, target;
      words >> mark >> path >> target;
      if (mark == "==" || mark == "=x") {
        hexadecimal = mark == "=x";
        file.close();
        file.open(prepare_path(path));
      } else if (mark == "->") {
        file.close();
        std::filesystem::create_symlink(target, prepare_path(path));
      } else if (file.is_open() && hexadecimal) {
        std::erase(line, ' ');
        for (std::size_t i = 0; i + 1 < line.size(); i += 2)
          file << static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
      } else if (file.is_open() && !line.empty()) {
        file << line << "\n";
      }
    }
  }
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;
  ~FileTree() { std::filesystem::remove_all(root_); }

  // The tree of this name in src/gpu/testdata.
  static std::string read_testdata(const std::string& name) {
    std::ifstream file(std::filesystem::path(MGPU_TESTDATA) / (name + ".tree"));
    if (!file) throw std::runtime_error("no tree " + name + ".tree in " MGPU_TESTDATA);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }

  std::string sys() const { return root_ / "sys"; }
  std::string proc() const { return root_ / "proc"; }
  void write(const std::string& path, const std::string& content) const {
    std::ofstream(prepare_path(path)) << content;
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ / path); }

 private:
  std::filesystem::path prepare_path(const std::string& path) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    return root_ / path;
  }
  std::filesystem::path root_;
};

}  // namespace mgpu::gpu
