// NumPy's .npy files, format versions 1 to 3.
#pragma once
#include <kiln/array.h>

#include <string>

namespace kiln {

/// Reads a whole file into a new array, C or Fortran order as the file has it; big-endian data is
/// converted. A missing, truncated, overlong or malformed file, and a dtype that kiln lacks
/// (structured, object, text, dates), is an io error that names the file and the reason, as is what
/// is no regular file (a FIFO, a device, a directory). Nothing is allocated for a header that
/// claims more than there is.
Array load_npy(const std::string& path, Location where = std::source_location::current());

/// Writes a file that NumPy reads, in C order or, if `fortran`, in Fortran order. The file appears
/// under its name only when complete. bf16 is an io error (NumPy has no such type), as is a
/// file that cannot be written, and a path of something else than a regular file.
void save_npy(const std::string& path, const Array& array, bool fortran = false,
              Location where = std::source_location::current());
/// What map_npy maps a file for.
enum class MapMode : std::uint8_t {
    read,           ///< a read-only array
    read_write,     ///< writes reach the file
    copy_on_write,  ///< writes stay in this process
};

/// The array of a file without reading it: pages come as they are touched. The mapping lives as
/// long as any view of it. Errors as for load_npy; big-endian data cannot be mapped.
///
/// A file must not become shorter while it is mapped: a page that is gone raises SIGBUS when it is
/// touched, which no check beforehand can rule out. Files that others truncate are for load_npy,
/// which reports it; who writes a new file and renames it, as save_npy does, leaves mappings whole.
Array map_npy(const std::string& path, MapMode mode = MapMode::read,
              Location where = std::source_location::current());

}  // namespace kiln
