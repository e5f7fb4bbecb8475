# find_package(mgpu) -> mgpu::client
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include(${CMAKE_CURRENT_LIST_DIR}/mgpu-targets.cmake)
