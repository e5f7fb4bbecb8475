// stable-diffusion.cpp's sd-server: one AI model, which is loaded as long as its process runs. It has some of
// A1111's routes, but none that unloads.
#include "service/service_base.h"

namespace mgpu::service {

std::unique_ptr<Service> make_sd_server(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ServiceBase>(std::move(address), config);
}

}  // namespace mgpu::service
