// Asio's own code, compiled here once for everybody.
#include <boost/asio/impl/src.hpp>
