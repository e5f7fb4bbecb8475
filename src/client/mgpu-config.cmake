# CMake package "mgpu": find_package(mgpu) defines the target mgpu::client.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/mgpu-targets.cmake)
