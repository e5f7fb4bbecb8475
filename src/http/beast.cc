// Beast's own code, compiled here once for this room.
#include <boost/beast/src.hpp>
